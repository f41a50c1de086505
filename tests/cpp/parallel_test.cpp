#include "ecseq/core/parallel.hpp"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cfenv>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <string>
#include <system_error>
#include <thread>

#include "ecseq/core/error.hpp"

namespace ecseq {
namespace {

/// Sum of i^2 over [0, n), each term from its own task.
Index sum_of_squares(Index n, int threads) {
  std::vector<Index> squares(static_cast<std::size_t>(n));
  parallel_for(n, threads, [&](Index i) { squares[static_cast<std::size_t>(i)] = i * i; });
  return std::accumulate(squares.begin(), squares.end(), Index{0});
}

/// Runs task(0) and task(1) on two different threads at the same time; false if that never came.
bool on_two_threads(const std::function<void(Index)>& task) {
  std::atomic<int> arrived{0};
  std::atomic<bool> together{true};
  parallel_for(2, 2, [&](Index i) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (++arrived; arrived < 2; std::this_thread::yield()) {
      if (std::chrono::steady_clock::now() > deadline) {
        together = false;
        return;
      }
    }
    task(i);
  });
  return together;
}

TEST(ThreadPool, NoJobIsLostAmongManyTinyOnesOfChangingWidth) {
  for (Index round = 0; round < 1000; ++round) {
    const Index n = 2 + round % 7;
    ASSERT_EQ(sum_of_squares(n, 2 + static_cast<int>(round % 5)), (n - 1) * n * (2 * n - 1) / 6);
  }
}

TEST(ThreadPool, GrowsWhileSeveralCallersUseIt) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&wrong, caller] {
      for (int round = 0; round < 300; ++round) {
        wrong += sum_of_squares(20, 1 + (caller + round) % 8) != 2470;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST(ThreadPool, SurvivesTasksThatAllThrow) {
  for (int round = 0; round < 100; ++round) {
    try {
      parallel_for(50, 4, [](Index i) { throw InvalidArgument(std::to_string(i)); });
      FAIL() << "nothing was thrown";
    } catch (const InvalidArgument& error) {
      ASSERT_STREQ(error.what(), "0");
    }
  }
  EXPECT_EQ(sum_of_squares(20, 4), 2470);
}

TEST(ThreadPool, TasksRunInTheCallersFloatingPointEnvironment) {
  const int before = std::fegetround();
  // Twice each: the threads exist already, made under another mode, when the second pair comes.
  for (const int mode : {FE_UPWARD, FE_TONEAREST, FE_DOWNWARD, FE_TONEAREST}) {
    int seen[2] = {-1, -1};
    std::fesetround(mode);
    const bool together = on_two_threads([&](Index i) { seen[i] = std::fegetround(); });
    std::fesetround(before);
    ASSERT_TRUE(together);
    EXPECT_EQ(seen[0], mode);
    EXPECT_EQ(seen[1], mode);
  }
}

#if defined(__GLIBC__)
bool can_make_a_thread() {
  try {
    std::thread([] {}).join();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

TEST(ThreadPool, WorksOnWhereTheSystemRefusesThreads) {
  pthread_attr_t usual, enormous;
  ASSERT_EQ(pthread_getattr_default_np(&usual), 0);
  ASSERT_EQ(pthread_getattr_default_np(&enormous), 0);
  // More stack than the address space holds.
  ASSERT_EQ(pthread_attr_setstacksize(&enormous, std::size_t{1} << 47), 0);
  ASSERT_EQ(pthread_setattr_default_np(&enormous), 0);
  const bool refused = !can_make_a_thread();
  const Index sum = sum_of_squares(500, 40);
  pthread_setattr_default_np(&usual);
  pthread_attr_destroy(&enormous);
  pthread_attr_destroy(&usual);
  EXPECT_EQ(sum, 499 * 500 * 999 / 6);
  EXPECT_TRUE(refused) << "the test has shown nothing";
  EXPECT_EQ(sum_of_squares(20, 3), 2470);
}
#endif

TEST(ThreadPool, AChildForkedDuringAJobWorksAlone) {
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) sum_of_squares(8, 3);
  });
  for (int round = 0; round < 20; ++round) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(20);  // a child that hangs is killed and reported
      _exit(resolve_threads(4) == 1 && sum_of_squares(20, 4) == 2470 ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "round " << round;
  }
  stop = true;
  busy.join();
  EXPECT_EQ(resolve_threads(4), 4);
}

TEST(ThreadPoolDeathTest, TheProcessExitsWhileWorkersSleepOrWork) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        if (sum_of_squares(20, 4) != 2470) _exit(1);
        std::exit(7);
      },
      testing::ExitedWithCode(7), "");
  EXPECT_EXIT(
      {
        std::atomic<bool> started{false};
        std::thread([&] {
          for (;;) {
            parallel_for(64, 4, [&](Index) { started = true; });
          }
        }).detach();
        while (!started) std::this_thread::yield();
        std::exit(7);
      },
      testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace ecseq
