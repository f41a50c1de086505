#include "thread_pool.hpp"

#include <system_error>

namespace ecseq {
namespace {

thread_local bool inside_job = false;

}  // namespace

ThreadPool& ThreadPool::instance() {
  static auto* pool = new ThreadPool;
  return *pool;
}

bool ThreadPool::run(int helpers, const std::function<void()>& work) {
  if (inside_job) return false;
  const std::unique_lock<std::mutex> lock(busy_, std::try_to_lock);
  if (!lock.owns_lock()) return false;
  grow(helpers);
  work_ = &work;
  helpers_ = helpers;
  std::fegetenv(&environment_);
  unfinished_ = static_cast<int>(workers_.size());
  ++job_;
  job_.notify_all();
  inside_job = true;
  work();
  inside_job = false;
  for (int left = unfinished_; left > 0; left = unfinished_) unfinished_.wait(left);
  return true;
}

void ThreadPool::grow(int helpers) {
  try {
    while (static_cast<int>(workers_.size()) < helpers) {
      const int number = static_cast<int>(workers_.size());
      workers_.emplace_back([this, number, seen = job_.load()] { loop(number, seen); });
    }
  } catch (const std::system_error&) {
    // The system has no more threads to give: the caller and those there are do the work.
  }
}

void ThreadPool::loop(int number, std::uint32_t seen) {
  inside_job = true;
  for (;;) {
    job_.wait(seen);
    ++seen;
    if (number < helpers_) {
      std::fesetenv(&environment_);
      (*work_)();
    }
    if (--unfinished_ == 0) unfinished_.notify_all();
  }
}

}  // namespace ecseq
