// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// How a loop is handed out.
//
// Every thread has a Share, a cache line with two words.  `claim` holds the number of the loop and
// the next piece of the share: pieces are taken by compare-and-swap, so that whoever comes with the
// number of a loop that is over takes nothing.  `signal` holds the number of the last loop that the
// thread was asked to join, and whether it sleeps.
//
// The leader opens all shares, then signals, works itself, and waits until `done` has counted the
// pieces that others took.  Nobody waits for a thread that has taken nothing, and there is no
// barrier.  A late thread may read the fields of Loop while the leader writes those of the next
// one: the number, which is written first and read last, tells it, and then it takes nothing.

#include "rushlight/thread_team.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "rushlight/platform.h"

namespace rushlight {
namespace {

constexpr size_t kCacheLine = 64;
constexpr uint32_t kAsleep = uint32_t{1} << 31;
constexpr uint32_t kNumberMask = kAsleep - 1;
constexpr size_t kMaxPieces = size_t{1} << 30;

constexpr int64_t kSpin = 50'000;          // nanoseconds
constexpr int64_t kStayAwake = 1'000'000;  // between loops
constexpr int kYields = 8;                 // before the leader sleeps
constexpr int kPausesPerClock = 32;        // polls between two looks at the clock
constexpr int64_t kLate = 500'000;         // a wait that only the scheduler can have caused
constexpr int64_t kMinPenalty = 20'000'000;
constexpr int64_t kMaxPenalty = 640'000'000;

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  asm volatile("yield");
#endif
}

// Polls `ready` for about `nanoseconds`; true as soon as it is.
template <class Ready>
bool Spin(int64_t nanoseconds, const Ready& ready) {
  const int64_t end = platform::MonotonicNanos() + nanoseconds;
  do {
    for (int i = 0; i < kPausesPerClock; ++i) {
      if (ready()) return true;
      Pause();
    }
  } while (platform::MonotonicNanos() < end);
  return false;
}

struct alignas(kCacheLine) Share {
  std::atomic<uint64_t> claim{0};   // number of the loop << 32 | next piece
  std::atomic<uint32_t> signal{0};  // number of the loop, and kAsleep

  static uint64_t Open(uint32_t number, size_t piece) { return uint64_t{number} << 32 | piece; }

  // Takes pieces of loop `number` up to `end`, a quarter of what is left at a time, so that threads
  // finish close to each other.  Returns how many, 0 where there is nothing to take.
  size_t Claim(uint32_t number, size_t end, size_t* begin) {
    uint64_t word = claim.load(std::memory_order_relaxed);
    for (;;) {
      const size_t next = static_cast<uint32_t>(word);
      if (word >> 32 != number || next >= end) return 0;
      const size_t n = std::max<size_t>((end - next) / 4, 1);
      if (claim.compare_exchange_weak(word, word + n, std::memory_order_relaxed)) {
        *begin = next;
        return n;
      }
    }
  }
};

// The loop under way, as a late thread may read it while the next one is written.
struct alignas(kCacheLine) Loop {
  std::atomic<uint32_t> number{0};
  std::atomic<Context::Task> task{nullptr};
  std::atomic<void*> arg{nullptr};
  std::atomic<size_t> count{0};
  std::atomic<size_t> piece{0};  // elements
  std::atomic<size_t> pieces{0};
  std::atomic<size_t> threads{0};
};

// How many threads to do without, since waits were lost to other programs on the same CPUs.  Each
// such wait takes a thread away for a time that doubles; after it one comes back on trial.
class Withheld {
 public:
  size_t count(int64_t now) {
    if (penalty_ != 0 && now >= until_) {
      if (count_ > 0) {
        --count_;
      } else {
        penalty_ = penalty_ / 2 < kMinPenalty ? 0 : penalty_ / 2;
      }
      until_ = now + penalty_;
    }
    return count_;
  }
  void Late(int64_t now) {
    ++count_;
    penalty_ = std::clamp(penalty_ * 2, kMinPenalty, kMaxPenalty);
    until_ = now + penalty_;
  }
  bool trouble() const { return penalty_ != 0; }

 private:
  size_t count_ = 0;
  int64_t penalty_ = 0;
  int64_t until_ = 0;
};

// Signals are for the application's threads, but for those that a thread raises itself.
class BlockSignals {
 public:
  BlockSignals() {
    sigset_t blocked;
    sigfillset(&blocked);
    for (const int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) {
      sigdelset(&blocked, s);
    }
    pthread_sigmask(SIG_SETMASK, &blocked, &before_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

struct ThreadTeam::Impl {
  explicit Impl(const ThreadTeamOptions& o)
      : options(o), shares(o.threads == 0 ? platform::TotalCpus() : o.threads) {}

  void Start(size_t count);
  size_t ThreadsNow(size_t wanted, int64_t now);
  void Run(size_t threads, size_t count, size_t grain, Context::Task task, void* arg, int64_t now);
  size_t Work(size_t thread, uint32_t loop_number);
  void Wait(uint32_t pieces, int64_t begin);
  void Serve(size_t thread);
  uint32_t NextSignal(Share& share, uint32_t seen) const;

  const ThreadTeamOptions options;
  Loop loop;
  alignas(kCacheLine) std::atomic<uint32_t> done{0};  // pieces that others took; and kAsleep
  alignas(kCacheLine) std::atomic<bool> led{false};   // a Lease leads the team
  std::atomic<size_t> executions{0};                  // Leases
  std::atomic<int64_t> spin{kSpin};
  std::atomic<bool> stopping{false};

  // The leader's.
  std::vector<Share> shares;         // [max_threads]
  std::vector<std::thread> workers;  // [i] is thread i + 1
  bool cannot_start = false;
  size_t cpus = 1;
  uint32_t number = 0;
  Withheld withheld;
};

// Threads 1 to count - 1, as far as the system gives them.
void ThreadTeam::Impl::Start(size_t count) {
  if (workers.size() + 1 >= count || cannot_start) return;
  const BlockSignals block;
  try {
    workers.reserve(shares.size());
    while (workers.size() + 1 < count) {
      const size_t thread = workers.size() + 1;
      workers.emplace_back([this, thread] { Serve(thread); });
    }
  } catch (...) {  // no memory, or too many threads: those that there are will do
    cannot_start = true;
  }
}

// How many threads the next loop gets.
size_t ThreadTeam::Impl::ThreadsNow(size_t wanted, int64_t now) {
  const size_t others = executions.load(std::memory_order_relaxed) - 1;
  size_t threads = std::min(wanted, cpus > others ? cpus - others : 1);
  if (threads < 2) return 1;
  const size_t without = withheld.count(now);
  threads = threads > without ? threads - without : 1;
  Start(threads);
  return std::min(threads, workers.size() + 1);
}

void ThreadTeam::Impl::Run(size_t threads, size_t count, size_t grain, Context::Task task,
                           void* arg, int64_t now) {
  const size_t piece = std::max(grain, count / kMaxPieces + 1);
  const size_t pieces = count / piece + (count % piece != 0);
  number = (number + 1) & kNumberMask;
  loop.number.store(number, std::memory_order_relaxed);
  loop.task.store(task, std::memory_order_release);
  loop.arg.store(arg, std::memory_order_release);
  loop.count.store(count, std::memory_order_release);
  loop.piece.store(piece, std::memory_order_release);
  loop.pieces.store(pieces, std::memory_order_release);
  loop.threads.store(threads, std::memory_order_release);
  // Where others fight for the CPUs, spinning is time that the thread waited for does not get.
  spin.store(withheld.trouble() ? kSpin / 4 : kSpin, std::memory_order_relaxed);
  done.store(0, std::memory_order_relaxed);
  for (size_t t = 0; t < threads; ++t) {
    shares[t].claim.store(Share::Open(number, pieces * t / threads), std::memory_order_relaxed);
  }
  for (size_t t = 1; t < threads; ++t) {
    // One operation tells the thread and learns whether it sleeps.
    if (shares[t].signal.exchange(number, std::memory_order_acq_rel) & kAsleep) {
      shares[t].signal.notify_one();
    }
  }
  const size_t own = Work(0, number);
  if (own < pieces) Wait(static_cast<uint32_t>(pieces - own), now);
}

// Works on the loop until there is nothing left to take; returns how many pieces it did.
size_t ThreadTeam::Impl::Work(size_t thread, uint32_t loop_number) {
  const Context::Task task = loop.task.load(std::memory_order_acquire);
  void* const arg = loop.arg.load(std::memory_order_acquire);
  const size_t count = loop.count.load(std::memory_order_acquire);
  const size_t piece = loop.piece.load(std::memory_order_acquire);
  const size_t pieces = loop.pieces.load(std::memory_order_acquire);
  const size_t threads = loop.threads.load(std::memory_order_acquire);
  if (loop.number.load(std::memory_order_relaxed) != loop_number) return 0;
  size_t finished = 0;
  for (size_t i = 0; i < threads; ++i) {
    const size_t owner = (thread + i) % threads;
    const size_t end = pieces * (owner + 1) / threads;
    size_t first;
    while (const size_t n = shares[owner].Claim(loop_number, end, &first)) {
      const size_t last = first + n;
      task(arg, thread, first * piece, last == pieces ? count : last * piece);
      finished += n;
    }
  }
  return finished;
}

// Until others have done `pieces`.  `begin`: of the loop.
void ThreadTeam::Impl::Wait(uint32_t pieces, int64_t begin) {
  const auto ready = [&] { return done.load(std::memory_order_acquire) == pieces; };
  for (int i = 0; i < kPausesPerClock; ++i) {  // most waits end here, without a look at the clock
    if (ready()) return;
    Pause();
  }
  const int64_t out_of_work = platform::MonotonicNanos();
  if (Spin(spin.load(std::memory_order_relaxed), ready)) return;
  for (int i = 0; i < kYields; ++i) {
    std::this_thread::yield();
    if (ready()) break;
  }
  uint32_t seen = done.load(std::memory_order_acquire);
  while ((seen & ~kAsleep) != pieces) {
    if ((seen & kAsleep) != 0 ||
        done.compare_exchange_weak(seen, seen | kAsleep, std::memory_order_acquire)) {
      done.wait(seen | kAsleep, std::memory_order_acquire);
      seen = done.load(std::memory_order_acquire);
    }
  }
  const int64_t now = platform::MonotonicNanos();
  // The largest bite is a quarter of a share: a thread that runs needs less than the leader did.
  if (now - out_of_work > kLate + (out_of_work - begin) / 2) withheld.Late(now);
}

// The life of a worker.
void ThreadTeam::Impl::Serve(size_t thread) {
  Share& share = shares[thread];
  uint32_t seen = 0;
  for (;;) {
    seen = NextSignal(share, seen);
    if (stopping.load(std::memory_order_relaxed)) return;
    if (options.before_loop != nullptr) options.before_loop(options.before_loop_self, thread);
    const auto finished = static_cast<uint32_t>(Work(thread, seen));
    if (finished == 0) continue;
    if (done.fetch_add(finished, std::memory_order_acq_rel) & kAsleep) done.notify_one();
  }
}

// The number of a loop other than the one seen last.
uint32_t ThreadTeam::Impl::NextSignal(Share& share, uint32_t seen) const {
  uint32_t signal = seen;
  const auto ready = [&] {
    signal = share.signal.load(std::memory_order_acquire);
    return signal != seen;
  };
  const int64_t begin = platform::MonotonicNanos();
  if (Spin(spin.load(std::memory_order_relaxed), ready)) return signal;
  do {
    std::this_thread::yield();
    if (ready()) return signal;
  } while (platform::MonotonicNanos() - begin < kStayAwake);
  const uint32_t asleep = seen | kAsleep;
  if (!share.signal.compare_exchange_strong(signal, asleep, std::memory_order_acq_rel)) {
    return signal;
  }
  share.signal.wait(asleep, std::memory_order_acquire);
  return share.signal.load(std::memory_order_acquire);
}

ThreadTeam::ThreadTeam(const ThreadTeamOptions& options) : impl_(std::make_unique<Impl>(options)) {}

ThreadTeam::~ThreadTeam() {
  impl_->stopping.store(true, std::memory_order_relaxed);
  const uint32_t number = (impl_->number + 1) & kNumberMask;
  for (size_t i = 0; i < impl_->workers.size(); ++i) {
    impl_->shares[i + 1].signal.exchange(number, std::memory_order_acq_rel);
    impl_->shares[i + 1].signal.notify_one();
    impl_->workers[i].join();
  }
}

ThreadTeam& ThreadTeam::Default() {
  // Not destroyed: modules of static lifetime may run to the end.
  static ThreadTeam* const team = new ThreadTeam;
  return *team;
}

size_t ThreadTeam::max_threads() const { return impl_->shares.size(); }

ThreadTeam::Lease::Lease(ThreadTeam& team, size_t threads)
    : team_(team), threads_(std::min(threads, team.max_threads())) {
  team_.impl_->executions.fetch_add(1, std::memory_order_relaxed);
}

ThreadTeam::Lease::~Lease() {
  if (leads_) team_.impl_->led.store(false, std::memory_order_release);
  team_.impl_->executions.fetch_sub(1, std::memory_order_relaxed);
}

bool ThreadTeam::Lease::Lead() {
  Impl& team = *team_.impl_;
  if (leads_) return true;
  if (team.led.load(std::memory_order_relaxed)) return false;
  leads_ = !team.led.exchange(true, std::memory_order_acquire);
  if (leads_) team.cpus = team.options.cpus == 0 ? platform::UsableCpus() : team.options.cpus;
  return leads_;
}

void ThreadTeam::Lease::ParallelFor(void* lease, size_t count, size_t grain, Context::Task task,
                                    void* arg) {
  Lease& self = *static_cast<Lease*>(lease);
  const size_t wanted = std::min(self.threads_, count / grain + (count % grain != 0));
  if (wanted > 1 && !self.in_loop_.load(std::memory_order_relaxed) && self.Lead()) {
    Impl& team = *self.team_.impl_;
    const int64_t now = platform::MonotonicNanos();
    const size_t threads = team.ThreadsNow(wanted, now);
    if (threads > 1) {
      self.in_loop_.store(true, std::memory_order_relaxed);
      team.Run(threads, count, grain, task, arg, now);
      self.in_loop_.store(false, std::memory_order_relaxed);
      return;
    }
  }
  task(arg, 0, 0, count);
}

}  // namespace rushlight
