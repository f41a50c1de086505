#include "ecseq/compress/kmeans.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string>

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

TEST(KMeans, FindsTheSameFarFromTheOrigin) {
  const Blobs blobs = make_blobs(600, 5, 7, 3);
  // A shift that floats hold exactly beside these values, so that only k-means could round.
  Matrix<float> x = (blobs.x.array() * 64).round() / 64;
  const Matrix<float> shifted = x.array() + 16'384.0F;
  const Compression near = kmeans(x, blobs.labels, with_k(20));
  const Compression far = kmeans(shifted, blobs.labels, with_k(20));
  EXPECT_NEAR(far.report.objective / near.report.objective, 1.0, 0.02);
  for (Index i = 0; i < 600; ++i) {
    const Eigen::VectorXd distance =
        (far.representatives.vectors.cast<double>().rowwise() - shifted.row(i).cast<double>())
            .rowwise()
            .squaredNorm();
    EXPECT_NEAR(distance[far.assignment[static_cast<std::size_t>(i)]], distance.minCoeff(), 0.01);
  }
}

TEST(KMeans, RadiusCoversItsShareOfTheMembers) {
  const Blobs blobs = make_blobs(2000, 3, 5, 4);
  const Compression result = kmeans(blobs.x, blobs.labels, with_k(8));
  std::vector<std::vector<double>> distances(8);
  for (Index i = 0; i < 2000; ++i) {
    const auto j = result.assignment[static_cast<std::size_t>(i)];
    distances[static_cast<std::size_t>(j)].push_back(
        (blobs.x.row(i) - result.representatives.vectors.row(j)).cast<double>().norm());
  }
  for (std::size_t j = 0; j < 8; ++j) {
    ASSERT_GE(distances[j].size(), 10U);
    const double radius = result.representatives.radius[j];
    const auto within = static_cast<double>(
        std::count_if(distances[j].begin(), distances[j].end(),
                      [radius](double distance) { return distance <= radius + 1e-6; }));
    const auto size = static_cast<double>(distances[j].size());
    EXPECT_GE(within, kWithinRadius * size);
    EXPECT_LT(within, kWithinRadius * size + 1.0);
  }
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

TEST(KMeans, HasKRepresentativesAmongHeavyDuplicates) {
  // One value holds most rows, so that random starts fall together.
  Matrix<float> x(2000, 3);
  for (Index i = 0; i < 2000; ++i) {
    x.row(i).setConstant(i % 100 == 0 ? static_cast<float>(i / 100) + 0.5F : 0.0F);
  }
  const Matrix<float> labels = Matrix<float>::Zero(2000, 1);
  for (const std::string init : {"random", "kmeans++"}) {
    for (const Index k : {2, 12, 21}) {
      for (std::uint64_t seed = 0; seed < 5; ++seed) {
        KMeansOptions options = with_k(k);
        options.init = init;
        options.seed = seed;
        const Compression result = kmeans(x, labels, options);
        ASSERT_EQ(result.representatives.size(), k);
        for (const double mass : result.representatives.mass) EXPECT_GT(mass, 0.0);
      }
    }
    EXPECT_NEAR(kmeans(x, labels, with_k(21)).report.objective, 0.0, 1e-3);
  }
}

TEST(KMeans, HasKRepresentativesWhereRowsAreAlmostEqual) {
  // Neighbours that the rounding of the scores cannot tell apart.
  Matrix<float> x(64, 2);
  float value = 1000.0F;
  for (Index i = 0; i < 64; ++i) {
    x.row(i).setConstant(value);
    if (i % 2 == 1) value = std::nextafter(value, 2000.0F);
  }
  const Compression result = kmeans(x, Matrix<float>::Zero(64, 1).eval(), with_k(32));
  ASSERT_EQ(result.representatives.size(), 32);
  for (const double mass : result.representatives.mass) EXPECT_GT(mass, 0.0);
}

TEST(KMeans, StartsFromGivenCentroids) {
  const Blobs blobs = make_blobs(400, 3, 6, 8);
  const Compression first = kmeans(blobs.x, blobs.labels, with_k(9));
  KMeansOptions again = with_k(9);
  again.centroids = first.representatives.vectors;
  again.iterations = 1;
  again.seed = 77;
  const Compression second = kmeans(blobs.x, blobs.labels, again);
  EXPECT_LE(second.report.objective, first.report.objective * (1 + 1e-6));
  // Lloyd's step: the means of the rows nearest to each.
  for (Index j = 0; j < 9; ++j) {
    RowVector<double> sum = RowVector<double>::Zero(3);
    for (Index i = 0; i < 400; ++i) {
      if (first.assignment[static_cast<std::size_t>(i)] == j) sum += blobs.x.row(i).cast<double>();
    }
    const RowVector<double> mean = sum / first.representatives.mass[static_cast<std::size_t>(j)];
    EXPECT_LT((second.representatives.vectors.row(j).cast<double>() - mean).norm(), 1e-4);
  }
  again.centroids.conservativeResize(8, 3);
  EXPECT_THROW(kmeans(blobs.x, blobs.labels, again), InvalidArgument);
  EXPECT_THROW(balanced_kmeans(blobs.x, blobs.labels, std::vector<int>(400, 0), {}, again),
               InvalidArgument);
  again = with_k(9);
  again.init = "best";
  EXPECT_THROW(kmeans(blobs.x, blobs.labels, again), InvalidArgument);
}

TEST(KMeans, PlusPlusStartsInEveryDistantBlob) {
  // 20 tight, distant blobs: random starts miss some of them, k-means++ hardly ever does.
  const Blobs blobs = make_blobs(2000, 6, 20, 9);
  KMeansOptions options = with_k(20);
  options.init = "kmeans++";
  options.iterations = 1;
  options.num_threads = 1;
  const Compression one = kmeans(blobs.x, blobs.labels, options);
  // Within a blob the squared distance is 6 times 0.3^2, between blobs some hundreds.
  EXPECT_LT(one.report.objective / 2000.0, 3.0);
  options.num_threads = 2;
  const Compression two = kmeans(blobs.x, blobs.labels, options);
  EXPECT_EQ(one.assignment, two.assignment);
  EXPECT_EQ(one.representatives.vectors, two.representatives.vectors);
  EXPECT_THROW(kmeans(blobs.x, blobs.labels, options, [](const Progress&) { return false; }),
               Interrupted);
}

TEST(KMeans, SphericalClustersDirections) {
  Blobs blobs = make_blobs(600, 4, 5, 10);
  KMeansOptions options = with_k(10);
  options.spherical = true;
  const Compression result = kmeans(blobs.x, blobs.labels, options);
  Rng rng(11);
  Matrix<float> scaled = blobs.x;
  for (Index i = 0; i < 600; ++i) scaled.row(i) *= static_cast<float>(1 << rng.below(8));
  EXPECT_EQ(kmeans(scaled, blobs.labels, options).assignment, result.assignment);
  for (Index j = 0; j < result.representatives.size(); ++j) {
    EXPECT_NEAR(result.representatives.vectors.row(j).norm(), 1.0, 1e-5);
  }
  for (Index i = 0; i < 600; ++i) {
    const Eigen::VectorXf cosine =
        result.representatives.vectors * blobs.x.row(i).transpose() / blobs.x.row(i).norm();
    EXPECT_NEAR(cosine[result.assignment[static_cast<std::size_t>(i)]], cosine.maxCoeff(), 1e-5);
  }
  blobs.x.row(3).setZero();
  EXPECT_THROW(kmeans(blobs.x, blobs.labels, options), InvalidArgument);
}

TEST(BalancedKMeans, SharesRepresentativesBetweenGroups) {
  EXPECT_EQ(balanced_counts(10, {100, 100}), (std::vector<Index>{5, 5}));
  EXPECT_EQ(balanced_counts(10, {3, 100}), (std::vector<Index>{3, 7}));
  EXPECT_EQ(balanced_counts(11, {100, 2, 100}), (std::vector<Index>{5, 2, 4}));
  EXPECT_EQ(balanced_counts(10, {2, 3}), (std::vector<Index>{2, 3}));
}

TEST(BalancedKMeans, EqualRepresentativesOfTwoGroupsBecomeOne) {
  Matrix<float> x(6, 1), labels(6, 1);
  x << 0, 5, 9, 5, 20, 5;
  labels << 0, 0, 0, 1, 1, 1;
  const Compression result = balanced_kmeans(x, labels, {0, 0, 0, 1, 1, 1}, {3, 2}, with_k(5));
  EXPECT_EQ(result.representatives.size(), 4);
  EXPECT_EQ(result.assignment[1], result.assignment[3]);
  EXPECT_EQ(result.representatives.mass[static_cast<std::size_t>(result.assignment[1])], 3.0);
  EXPECT_EQ(result.report.requested, 5);
  EXPECT_EQ(result.report.note,
            "1 representatives were equal to one of another group and joined it");
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
