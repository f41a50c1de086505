#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/core/sequences.hpp"

namespace ecseq {
namespace {

Matrix<float> counting(Index rows, Index cols) {
  Matrix<float> x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(i);
  return x;
}

TEST(Sequences, WindowsEndAtEachEventAndStayInsideTheirSequence) {
  const Sequences sequences(counting(5, 2), {0, 2, 5});
  const Sequences windows = sequences.windows(2);
  ASSERT_EQ(windows.size(), 5);
  const std::vector<Index> lengths{1, 2, 1, 2, 2};
  for (Index i = 0; i < 5; ++i) {
    EXPECT_EQ(windows.view().length(i), lengths[static_cast<std::size_t>(i)]);
    const float* last = windows.view().events(i) + 2 * (windows.view().length(i) - 1);
    EXPECT_EQ(last[0], static_cast<float>(2 * i));
  }
}

TEST(Sequences, RefusesBadOffsets) {
  EXPECT_THROW(Sequences(counting(5, 2), {0, 3, 2}), InvalidArgument);
  EXPECT_THROW(Sequences(counting(5, 2), {0, 6}), InvalidArgument);
  EXPECT_THROW(Sequences(counting(5, 2), {0, 0, 5}), InvalidArgument);
  EXPECT_THROW(Sequences(counting(5, 2), {0, 5}).windows(0), InvalidArgument);
}

TEST(Sequences, NamesTheRowAndColumnOfANonFiniteValue) {
  Matrix<float> values = counting(3, 2);
  values(2, 1) = std::numeric_limits<float>::quiet_NaN();
  try {
    Sequences(values, {0, 3});
    FAIL() << "NaN was accepted";
  } catch (const InvalidArgument& error) {
    EXPECT_STREQ(error.what(), "values: NaN at row 2, column 1");
  }
}

TEST(Sequences, AreReadNoFurtherThanTheyReach) {
  Matrix<float> values = counting(4, 2);
  values(3, 0) = std::numeric_limits<float>::infinity();
  const std::vector<std::int64_t> starts{0, 1}, stops{2, 3};
  EXPECT_NO_THROW(Sequences(values, starts, stops));
  EXPECT_THROW(Sequences(values, starts, {2, 4}), InvalidArgument);
}

TEST(ParallelFor, RunsEachTaskOnceAndRethrowsTheLowestFailure) {
  std::vector<std::atomic<int>> runs(1000);
  parallel_for(1000, 2, [&](Index i) { ++runs[static_cast<std::size_t>(i)]; });
  for (const auto& count : runs) EXPECT_EQ(count.load(), 1);
  try {
    parallel_for(100, 2, [&](Index i) {
      if (i == 7 || i == 70) throw InvalidArgument(std::to_string(i));
    });
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_STREQ(error.what(), "7");
  }
}

TEST(ParallelFor, ManyCallersAndNestedCallsFinish) {
  std::atomic<Index> total{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        parallel_for(8, 3, [&](Index) { parallel_for(4, 2, [&](Index i) { total += i; }); });
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(total.load(), 4 * 200 * 8 * 6);
}

TEST(Rng, IsReproducibleAndUniform) {
  Rng a(3), b(3), c(4);
  EXPECT_EQ(a.next(), b.next());
  EXPECT_NE(a.next(), c.next());
  double sum = 0, sum_normal = 0, sum_square = 0;
  const int n = 100000;
  for (int i = 0; i < n; ++i) {
    sum += a.uniform();
    const double z = a.normal();
    sum_normal += z;
    sum_square += z * z;
  }
  EXPECT_NEAR(sum / n, 0.5, 0.01);
  EXPECT_NEAR(sum_normal / n, 0.0, 0.02);
  EXPECT_NEAR(sum_square / n, 1.0, 0.03);
  std::vector<int> counts(7);
  for (int i = 0; i < n; ++i) ++counts[static_cast<std::size_t>(a.below(7))];
  for (const int count : counts) EXPECT_NEAR(count, n / 7.0, 600);
}

}  // namespace
}  // namespace ecseq
