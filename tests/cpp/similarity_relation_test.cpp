#include "ecseq/relation/similarity_relation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"

namespace ecseq::relation {
namespace {

struct Data {
  Matrix<float> x;
  LabelChannels channels;
  std::vector<int> group;
};

Data make_data(Index n, Index h, std::uint64_t seed, double offset = 0.0) {
  Rng rng(seed);
  Data data;
  data.x.resize(n, h);
  Targets y{Task::kBinary, 2, {}};
  for (Index i = 0; i < n; ++i) {
    for (Index k = 0; k < h; ++k) {
      data.x(i, k) = static_cast<float>(offset + (1.0 + double(k)) * rng.normal());
    }
    y.values.push_back(data.x(i, 0) + rng.normal() > offset + 0.8 ? 1.0f : 0.0f);
    data.group.push_back(static_cast<int>(y.values.back()));
  }
  data.channels = label_channels(y, 0.0, 1.0);
  return data;
}

SimilarityRelation make_relation(const Data& data, const SimilarityOptions& options) {
  return SimilarityRelation(data.x, data.channels, Task::kBinary, data.group, options, 1, 2, {});
}

SimilarityOptions with_k(Index k) {
  SimilarityOptions options;
  options.n_representatives = k;
  return options;
}

/// Standard deviations and means by definition.
struct Scale {
  Eigen::RowVectorXd mean, std;
  explicit Scale(const Matrix<float>& x) {
    const Eigen::MatrixXd wide = x.cast<double>();
    mean = wide.colwise().mean();
    std = (wide.rowwise() - mean).array().square().colwise().mean().sqrt();
  }
  Eigen::RowVectorXd operator()(const RowVector<float>& row) const {
    return ((row.cast<double>() - mean).array() / std.array()).matrix();
  }
};

TEST(SimilarityRelation, AttachesToTheNearestWithTheWeightsOfItsDefinition) {
  const Data data = make_data(800, 5, 1);
  const SimilarityRelation relation = make_relation(data, with_k(40));
  const auto& vectors = relation.representatives().vectors;
  const Scale scale(data.x);
  const Data queries = make_data(50, 5, 2);
  for (Index i = 0; i < 50; ++i) {
    std::vector<std::pair<double, Index>> all;
    for (Index j = 0; j < vectors.rows(); ++j) {
      all.emplace_back((scale(queries.x.row(i)) - scale(vectors.row(j))).squaredNorm(), j);
    }
    std::sort(all.begin(), all.end());
    double mean = 0.0, total = 0.0;
    for (int j = 0; j < 8; ++j) mean += all[static_cast<std::size_t>(j)].first / 8.0;
    const Neighbourhood found = relation.attach(queries.x.row(i).data());
    ASSERT_EQ(found.representative.size(), 8u);
    std::vector<double> expected;
    for (std::size_t j = 0; j < 8; ++j) {
      EXPECT_EQ(found.representative[j], all[j].second);
      expected.push_back(std::exp(-2.0 * (all[j].first - all[0].first) / mean));
      total += expected.back();
    }
    for (std::size_t j = 0; j < 8; ++j) EXPECT_NEAR(found.weight[j], expected[j] / total, 1e-4);
  }
}

TEST(SimilarityRelation, AttachmentIgnoresTheUnitsOfTheColumns) {
  Data data = make_data(500, 4, 3);
  const SimilarityRelation plain = make_relation(data, with_k(20));
  Data scaled = data;
  scaled.x.col(2) *= 1000.0f;
  scaled.x.col(1).array() += 50.0f;
  const SimilarityRelation other = make_relation(scaled, with_k(20));
  std::size_t same = 0;
  for (Index i = 0; i < 500; ++i) {
    same += plain.attach(data.x.row(i).data()).representative[0] ==
            other.attach(scaled.x.row(i).data()).representative[0];
  }
  EXPECT_GT(same, 490u);  // rounding may move a border case
}

TEST(SimilarityRelation, EpsilonTakesAllBeyondTheCosineAndFallsBackToTheNearest) {
  const Data data = make_data(600, 3, 4);
  SimilarityOptions options = with_k(60);
  options.attach = "epsilon";
  options.epsilon = 0.95;
  const SimilarityRelation relation = make_relation(data, options);
  const auto& vectors = relation.representatives().vectors;
  Index isolated = 0;
  for (Index i = 0; i < 600; ++i) {
    std::vector<std::int64_t> expected;
    bool rounding_decides = false;
    for (Index j = 0; j < vectors.rows(); ++j) {
      const double cosine =
          data.x.row(i).cast<double>().dot(vectors.row(j).cast<double>()) /
          (data.x.row(i).cast<double>().norm() * vectors.row(j).cast<double>().norm());
      EXPECT_NEAR(relation.similarity(data.x.row(i).data(), j), cosine, 1e-5);
      rounding_decides = rounding_decides || std::abs(cosine - 0.95) < 1e-6;
      if (cosine > 0.95) expected.push_back(j);
    }
    const Neighbourhood found = relation.attach(data.x.row(i).data());
    isolated += found.isolated;
    if (rounding_decides) continue;
    EXPECT_EQ(found.isolated, expected.empty());
    if (!expected.empty()) {
      EXPECT_EQ(found.representative, expected);
      EXPECT_NEAR(found.weight[0] * static_cast<float>(expected.size()), 1.0f, 1e-5f);
    } else {
      EXPECT_EQ(found.representative.size(), 8u);
    }
  }
  EXPECT_NEAR(relation.isolation_rate(data.x, 2), static_cast<double>(isolated) / 600.0, 1e-9);
  EXPECT_GT(isolated, 0);
}

TEST(SimilarityRelation, AggregatesNodeFeaturesByTheirWeights) {
  const Data data = make_data(700, 4, 5);
  const SimilarityRelation relation = make_relation(data, with_k(30));
  const auto& representatives = relation.representatives();
  const Scale scale(data.x);
  const Matrix<float> found = relation.aggregate(data.x, 2);
  ASSERT_EQ(found.cols(), 4 + 1 + 1);
  const double prior = data.channels.prior[0];
  for (Index i = 0; i < 700; i += 13) {
    const Neighbourhood around = relation.attach(data.x.row(i).data());
    Eigen::RowVectorXd expected = Eigen::RowVectorXd::Zero(6);
    for (std::size_t j = 0; j < around.representative.size(); ++j) {
      const auto r = around.representative[j];
      const double mass = representatives.mass[static_cast<std::size_t>(r)];
      const double share = (representatives.label_sums(r, 0) + 5.0 * prior) / (mass + 5.0);
      Eigen::RowVectorXd node(6);
      node << scale(representatives.vectors.row(r)),
          std::log(share / (1 - share)) - std::log(prior / (1 - prior)), std::log1p(mass);
      expected += around.weight[j] * node;
    }
    for (Index k = 0; k < 6; ++k) EXPECT_NEAR(found(i, k), expected[k], 2e-4);
  }
}

TEST(SimilarityRelation, ATrainingRowDoesNotSeeItsOwnLabel) {
  const Data data = make_data(400, 3, 6);
  const SimilarityRelation relation = make_relation(data, with_k(15));
  const Matrix<float> left_out =
      relation.aggregate(data.x, 1, data.channels.values, relation.assignment());
  const double prior = data.channels.prior[0];
  for (Index i = 0; i < 400; i += 7) {
    const Neighbourhood around = relation.attach(data.x.row(i).data());
    double expected = 0.0;
    for (std::size_t j = 0; j < around.representative.size(); ++j) {
      // By brute force: the label mix over all members but row i.
      const auto r = around.representative[j];
      double sum = 0.0, mass = 0.0;
      for (Index m = 0; m < 400; ++m) {
        if (m == i || relation.assignment()[static_cast<std::size_t>(m)] != r) continue;
        sum += data.channels.values(m, 0);
        mass += 1.0;
      }
      const double share = (sum + 5.0 * prior) / (mass + 5.0);
      expected +=
          around.weight[j] * (std::log(share / (1 - share)) - std::log(prior / (1 - prior)));
    }
    EXPECT_NEAR(left_out(i, 3), expected, 1e-4);
  }
}

TEST(SimilarityRelation, RepresentativesAttachToOthersOnly) {
  const Data data = make_data(400, 3, 7);
  SimilarityOptions options = with_k(2);
  const SimilarityRelation relation = make_relation(data, options);
  const Matrix<float> around = relation.aggregate_representatives();
  // With two representatives each sees exactly the other one.
  const auto& vectors = relation.representatives().vectors;
  const Scale scale(data.x);
  for (Index j = 0; j < 2; ++j) {
    const Eigen::RowVectorXd other = scale(vectors.row(1 - j));
    for (Index k = 0; k < 3; ++k) EXPECT_NEAR(around(j, k), other[k], 1e-4);
  }
}

TEST(SimilarityRelation, VectorsAreMeansOfTheirMembersInTheirOwnUnits) {
  const Data data = make_data(500, 4, 8, 100.0);
  const SimilarityRelation relation = make_relation(data, with_k(10));
  for (Index j = 0; j < 10; ++j) {
    Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(4);
    double mass = 0.0;
    for (Index i = 0; i < 500; ++i) {
      if (relation.assignment()[static_cast<std::size_t>(i)] != j) continue;
      sum += data.x.row(i).cast<double>();
      mass += 1.0;
    }
    EXPECT_EQ(relation.representatives().mass[static_cast<std::size_t>(j)], mass);
    for (Index k = 0; k < 4; ++k) {
      EXPECT_NEAR(relation.representatives().vectors(j, k), sum[k] / mass, 1e-3);
    }
  }
}

TEST(SimilarityRelation, SurvivesItsFileToTheBit) {
  const Data data = make_data(500, 4, 9);
  for (const char* attach : {"knn", "epsilon"}) {
    SimilarityOptions options = with_k(25);
    options.attach = attach;
    SimilarityRelation relation = make_relation(data, options);
    std::vector<std::int64_t> names(500);
    std::iota(names.begin(), names.end(), 1000);
    relation.finish_training(names);
    io::TensorFile file;
    relation.save(file, "r.");
    const auto loaded = SimilarityRelation::load(file, "r.", Task::kBinary, options);
    EXPECT_EQ(relation.aggregate(data.x, 1), loaded.aggregate(data.x, 2));
    EXPECT_EQ(relation.representatives().cases, loaded.representatives().cases);
    EXPECT_GE(loaded.representatives().medoid(0), 1000);
    file.doubles["r.mass"].pop_back();
    EXPECT_THROW(SimilarityRelation::load(file, "r.", Task::kBinary, options), FileError);
    file.doubles.erase("r.mass");
    EXPECT_THROW(SimilarityRelation::load(file, "r.", Task::kBinary, options), FileError);
  }
}

TEST(SimilarityRelation, FewerRepresentativesThanNeighbours) {
  const Data data = make_data(100, 3, 10);
  for (const Index k : {Index{1}, Index{3}}) {
    const SimilarityRelation relation = make_relation(data, with_k(k));
    const Neighbourhood found = relation.attach(data.x.row(0).data());
    EXPECT_EQ(static_cast<Index>(found.representative.size()), k);
    EXPECT_NEAR(std::accumulate(found.weight.begin(), found.weight.end(), 0.0f), 1.0f, 1e-6f);
  }
}

}  // namespace
}  // namespace ecseq::relation
