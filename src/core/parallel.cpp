#include "ecseq/core/parallel.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "thread_pool.hpp"

namespace ecseq {
namespace {

std::atomic<int> default_threads{0};
std::atomic<bool> forked_child{false};

void mark_child() { forked_child = true; }
const int fork_handler = pthread_atfork(nullptr, nullptr, mark_child);

}  // namespace

void set_num_threads(int threads) { default_threads = std::max(0, threads); }

int resolve_threads(int requested) {
  (void)fork_handler;
  if (forked_child) return 1;
  if (requested <= 0) requested = default_threads;
  if (requested <= 0) requested = static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, requested);
}

void parallel_for(Index n, int threads, const std::function<void(Index)>& task) {
  threads = static_cast<int>(std::min<Index>(resolve_threads(threads), n));
  if (threads <= 1) {
    for (Index i = 0; i < n; ++i) task(i);
    return;
  }
  std::exception_ptr failure;
  Index failed_task = n;
  std::mutex mutex;
  std::atomic<Index> next{0};
  const std::function<void()> work = [&] {
    for (Index i = next++; i < n; i = next++) {
      try {
        task(i);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (i < failed_task) {
          failed_task = i;
          failure = std::current_exception();
        }
      }
    }
  };
  if (!ThreadPool::instance().run(threads - 1, work)) work();
  if (failure) std::rethrow_exception(failure);
}

void parallel_chunks(Index n, Index chunk, int threads,
                     const std::function<void(Index, Index)>& body) {
  const Index chunks = (n + chunk - 1) / chunk;
  parallel_for(chunks, threads, [&](Index i) { body(i * chunk, std::min(n, (i + 1) * chunk)); });
}

}  // namespace ecseq
