#pragma once

#include <atomic>
#include <cfenv>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace ecseq {

/// Worker threads that sleep between jobs. Not OpenMP: its waiting threads spin, and where the
/// cores are shared (a busy host, two libraries with a team each) that costs the very work they
/// wait for, 3 to 10 times over on a loaded two-core machine.
class ThreadPool {
 public:
  /// The process's pool. Never destroyed: at exit, and in a forked child, its threads may be gone.
  static ThreadPool& instance();

  /// Runs work() on the caller and on up to `helpers` workers at once; returns when all have.
  /// Fewer where the system refuses threads. work must not throw. False, with nothing run, if the
  /// pool is busy with another caller's job or called from within a job.
  bool run(int helpers, const std::function<void()>& work);

 private:
  void grow(int helpers);
  /// seen: number of the last job before this worker was made.
  void loop(int number, std::uint32_t seen);

  std::mutex busy_;  ///< held by the caller whose job runs
  std::vector<std::thread> workers_;
  const std::function<void()>* work_ = nullptr;
  int helpers_ = 0;
  /// The caller's rounding and denormal modes: a thread inherits those of the moment it was made,
  /// and a task's bits must not depend on the thread that runs it.
  std::fenv_t environment_{};
  std::atomic<std::uint32_t> job_{0};  ///< number of the newest job; workers wait on it
  std::atomic<int> unfinished_{0};
};

}  // namespace ecseq
