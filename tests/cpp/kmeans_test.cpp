#include "ecseq/compress/kmeans.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"

namespace ecseq::compress {
namespace {

struct Blobs {
  Matrix<float> x;
  Matrix<float> labels;
};

Blobs make_blobs(Index n, Index d, Index centres, std::uint64_t seed) {
  Rng rng(seed);
  Matrix<float> centre(centres, d);
  for (Index i = 0; i < centre.size(); ++i) centre.data()[i] = static_cast<float>(8 * rng.normal());
  Blobs blobs{Matrix<float>(n, d), Matrix<float>(n, 1)};
  for (Index i = 0; i < n; ++i) {
    const Index c = rng.below(centres);
    for (Index k = 0; k < d; ++k) {
      blobs.x(i, k) = centre(c, k) + static_cast<float>(0.3 * rng.normal());
    }
    blobs.labels(i, 0) = c % 2 == 0 ? 1.0f : 0.0f;
  }
  return blobs;
}

KMeansOptions with_k(Index k, int threads = 2) {
  KMeansOptions options;
  options.n_representatives = k;
  options.num_threads = threads;
  return options;
}

TEST(KMeans, EveryRowIsAssignedToItsNearestRepresentative) {
  const Blobs blobs = make_blobs(600, 5, 7, 1);
  const Compression result = kmeans(blobs.x, blobs.labels, with_k(20));
  double objective = 0.0;
  for (Index i = 0; i < 600; ++i) {
    Index best = -1;
    double best_distance = 1e300;
    for (Index j = 0; j < result.representatives.size(); ++j) {
      const double distance =
          (blobs.x.row(i) - result.representatives.vectors.row(j)).cast<double>().squaredNorm();
      if (distance < best_distance - 1e-4) {
        best_distance = distance;
        best = j;
      }
    }
    const Index chosen = result.assignment[static_cast<std::size_t>(i)];
    const double chosen_distance =
        (blobs.x.row(i) - result.representatives.vectors.row(chosen)).cast<double>().squaredNorm();
    EXPECT_NEAR(chosen_distance, best_distance, 1e-3) << best;
    objective += chosen_distance;
  }
  EXPECT_NEAR(result.report.objective, objective, 1e-2 * objective);
}

TEST(KMeans, MoreIterationsNeverRaiseTheObjective) {
  const Blobs blobs = make_blobs(2000, 4, 30, 2);
  double before = 1e300;
  for (const int iterations : {1, 2, 4, 8, 16}) {
    KMeansOptions options = with_k(12);
    options.iterations = iterations;
    const double objective = kmeans(blobs.x, blobs.labels, options).report.objective;
    EXPECT_LE(objective, before * (1 + 1e-6));
    before = objective;
  }
}

TEST(KMeans, MassAndLabelsAddUp) {
  const Blobs blobs = make_blobs(500, 3, 5, 3);
  const Compression result = kmeans(blobs.x, blobs.labels, with_k(25));
  const auto& reps = result.representatives;
  EXPECT_DOUBLE_EQ(std::accumulate(reps.mass.begin(), reps.mass.end(), 0.0), 500.0);
  EXPECT_DOUBLE_EQ(reps.label_sums.sum(), static_cast<double>(blobs.labels.sum()));
  for (Index j = 0; j < reps.size(); ++j) {
    EXPECT_GT(reps.mass[static_cast<std::size_t>(j)], 0.0);
    EXPECT_EQ(result.assignment[static_cast<std::size_t>(reps.medoid(j))], j);
    // The medoid is the member nearest to the vector, by brute force.
    double best = 1e300;
    for (Index i = 0; i < 500; ++i) {
      if (result.assignment[static_cast<std::size_t>(i)] != j) continue;
      best = std::min(best, double((blobs.x.row(i) - reps.vectors.row(j)).squaredNorm()));
    }
    EXPECT_NEAR((blobs.x.row(reps.medoid(j)) - reps.vectors.row(j)).squaredNorm(), best, 1e-5);
  }
}

TEST(KMeans, IsBitIdenticalForEveryThreadCount) {
  const Blobs blobs = make_blobs(5000, 8, 20, 4);
  const Compression one = kmeans(blobs.x, blobs.labels, with_k(50, 1));
  const Compression two = kmeans(blobs.x, blobs.labels, with_k(50, 2));
  EXPECT_EQ(one.assignment, two.assignment);
  EXPECT_EQ(one.representatives.vectors, two.representatives.vectors);
}

TEST(KMeans, DuplicatesNeverBecomeEmptyOrEqualRepresentatives) {
  Matrix<float> x(90, 2);
  for (Index i = 0; i < 90; ++i) x.row(i).setConstant(static_cast<float>(i % 9));
  const Matrix<float> labels = Matrix<float>::Zero(90, 1);
  const Compression result = kmeans(x, labels, with_k(9));
  std::set<float> distinct;
  for (Index j = 0; j < result.representatives.size(); ++j) {
    EXPECT_GT(result.representatives.mass[static_cast<std::size_t>(j)], 0.0);
    EXPECT_TRUE(distinct.insert(result.representatives.vectors(j, 0)).second);
  }
  EXPECT_THROW(kmeans(x, labels, with_k(10)), InvalidArgument);
  EXPECT_THROW(kmeans(x, labels, with_k(0)), InvalidArgument);
}

TEST(KMeans, OneRepresentativeIsTheMean) {
  const Blobs blobs = make_blobs(300, 4, 3, 5);
  const Compression result = kmeans(blobs.x, blobs.labels, with_k(1));
  ASSERT_EQ(result.representatives.size(), 1);
  EXPECT_TRUE(result.representatives.vectors.row(0).isApprox(blobs.x.colwise().mean(), 1e-4f));
}

TEST(KMeans, StopsWhenTheCallbackSaysSo) {
  const Blobs blobs = make_blobs(300, 4, 3, 6);
  int calls = 0;
  EXPECT_THROW(
      kmeans(blobs.x, blobs.labels, with_k(10), [&](const Progress&) { return ++calls < 3; }),
      Interrupted);
  EXPECT_EQ(calls, 3);
}

TEST(BalancedKMeans, SharesRepresentativesBetweenGroups) {
  EXPECT_EQ(balanced_counts(10, {100, 100}), (std::vector<Index>{5, 5}));
  EXPECT_EQ(balanced_counts(10, {3, 100}), (std::vector<Index>{3, 7}));
  EXPECT_EQ(balanced_counts(11, {100, 2, 100}), (std::vector<Index>{5, 2, 4}));
  EXPECT_EQ(balanced_counts(10, {2, 3}), (std::vector<Index>{2, 3}));
}

TEST(BalancedKMeans, RepresentativesAreOfOneClassEach) {
  const Blobs blobs = make_blobs(1000, 4, 9, 7);
  std::vector<int> group(1000);
  for (Index i = 0; i < 1000; ++i) group[static_cast<std::size_t>(i)] = blobs.labels(i, 0) > 0.5f;
  for (const auto& counts : {std::vector<Index>{}, std::vector<Index>{30, 10}}) {
    const Compression result = balanced_kmeans(blobs.x, blobs.labels, group, counts, with_k(40));
    EXPECT_EQ(result.representatives.size(), 40);
    for (Index j = 0; j < 40; ++j) {
      const double share = result.representatives.label_sums(j, 0) /
                           result.representatives.mass[static_cast<std::size_t>(j)];
      EXPECT_TRUE(share == 0.0 || share == 1.0);
    }
  }
}

}  // namespace
}  // namespace ecseq::compress
