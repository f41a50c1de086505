#include "ecseq/relation/similarity_relation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
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
  EXPECT_EQ(relation.attach(data.x, 2).isolated, isolated);
  EXPECT_GT(isolated, 0);
}

TEST(SimilarityRelation, AggregatesNodeFeaturesByTheirWeights) {
  const Data data = make_data(700, 4, 5);
  const SimilarityRelation relation = make_relation(data, with_k(30));
  const auto& representatives = relation.representatives();
  const Scale scale(data.x);
  const Matrix<float> found = relation.aggregate(relation.attach(data.x, 2), 2);
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
      relation.aggregate(relation.attach_training(data.x, data.channels.values, 1), 1);
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
  const Matrix<float> around = relation.aggregate(relation.attach_representatives(), 1);
  // With two representatives each sees exactly the other one.
  const auto& vectors = relation.representatives().vectors;
  const Scale scale(data.x);
  for (Index j = 0; j < 2; ++j) {
    const Eigen::RowVectorXd other = scale(vectors.row(1 - j));
    for (Index k = 0; k < 3; ++k) EXPECT_NEAR(around(j, k), other[k], 1e-4);
  }
}

TEST(SimilarityRelation, ABatchIsAttachedAsItsRowsAlone) {
  const Data data = make_data(500, 4, 11);
  for (const char* attach : {"knn", "epsilon", "correlation"}) {
    SimilarityOptions options = with_k(25);
    options.attach = attach;
    options.epsilon = 0.9;
    const SimilarityRelation relation = make_relation(data, options);
    const Attachments all = relation.attach(data.x, 2);
    Arena memory;
    const auto views = relation.attach(data.x, memory);  // without memory of their own
    ASSERT_EQ(all.size(), 500);
    ASSERT_EQ(views.size(), 500U);
    for (Index i = 0; i < 500; ++i) {
      const Neighbourhood alone = relation.attach(data.x.row(i).data());
      const Neighbours& view = views[static_cast<std::size_t>(i)];
      ASSERT_EQ(all.end(i) - all.begin(i), static_cast<Index>(alone.representative.size()));
      ASSERT_EQ(view.size, static_cast<Index>(alone.representative.size()));
      for (std::size_t j = 0; j < alone.representative.size(); ++j) {
        const auto edge = static_cast<std::size_t>(all.begin(i)) + j;
        EXPECT_EQ(all.source[edge], alone.representative[j]);
        EXPECT_EQ(all.weight[edge], alone.weight[j]);
        EXPECT_EQ(view.representative[j], alone.representative[j]);
        EXPECT_EQ(view.weight[j], alone.weight[j]);
      }
    }
  }
}

double pearson(const RowVector<float>& a, const RowVector<float>& b) {
  const Eigen::RowVectorXd x = a.cast<double>().array() - a.cast<double>().mean();
  const Eigen::RowVectorXd y = b.cast<double>().array() - b.cast<double>().mean();
  return x.dot(y) / (x.norm() * y.norm());
}

TEST(SimilarityRelation, CorrelationIsPearsonsAndAConstantRowHasNone) {
  Data data = make_data(300, 6, 12);
  SimilarityOptions options = with_k(30);
  options.attach = "correlation";
  options.min_correlation = 0.6;
  options.isolated = "alone";
  const SimilarityRelation relation = make_relation(data, options);
  const auto& vectors = relation.representatives().vectors;
  for (Index i = 0; i < 300; ++i) {
    std::vector<std::int64_t> expected;
    for (Index j = 0; j < vectors.rows(); ++j) {
      const double r = pearson(data.x.row(i), vectors.row(j));
      EXPECT_NEAR(relation.similarity(data.x.row(i).data(), j), r, 1e-5);
      if (r >= 0.6) expected.push_back(j);
    }
    const Neighbourhood found = relation.attach(data.x.row(i).data());
    EXPECT_EQ(found.representative, expected);
    EXPECT_EQ(found.isolated, expected.empty());
  }
  const std::vector<float> constant(6, 3.0f);
  const Neighbourhood none = relation.attach(constant.data());
  EXPECT_TRUE(none.isolated);
  EXPECT_TRUE(none.representative.empty());
}

TEST(SimilarityRelation, UncompressedEveryRowIsARepresentativeOfTheOthers) {
  const Data data = make_data(200, 3, 13);
  SimilarityOptions options;
  options.compressor = "none";
  const SimilarityRelation relation = make_relation(data, options);
  ASSERT_EQ(relation.representatives().size(), 200);
  EXPECT_EQ(relation.representatives().vectors, data.x);
  const Attachments training = relation.attach_training(data.x, data.channels.values, 2);
  const Attachments plain = relation.attach(data.x, 2);
  for (Index i = 0; i < 200; ++i) {
    EXPECT_EQ(plain.source[static_cast<std::size_t>(plain.begin(i))], i);
    EXPECT_EQ(training.end(i) - training.begin(i), 8);
    for (Index e = training.begin(i); e < training.end(i); ++e) {
      EXPECT_NE(training.source[static_cast<std::size_t>(e)], i);
    }
  }
}

TEST(SimilarityRelation, RowsWithoutLabelsCountAsMembersOnly) {
  const Data data = make_data(400, 3, 14);
  Data labelled = data;
  labelled.channels.values.conservativeResize(150, Eigen::NoChange);
  labelled.group.resize(150);
  for (const char* compressor : {"kmeans", "balanced_kmeans", "random"}) {
    SimilarityOptions options = with_k(20);
    options.compressor = compressor;
    const SimilarityRelation relation = make_relation(labelled, options);
    ASSERT_EQ(relation.assignment().size(), 400u);
    std::vector<double> sum(20), known(20), all(20);
    for (std::size_t i = 0; i < 400; ++i) {
      const auto j = static_cast<std::size_t>(relation.assignment()[i]);
      all[j] += 1.0;
      if (i >= 150) continue;
      known[j] += 1.0;
      sum[j] += labelled.channels.values(static_cast<Index>(i), 0);
    }
    EXPECT_EQ(relation.representatives().mass, all);
    EXPECT_EQ(relation.labelled_mass(), known);
    for (Index j = 0; j < 20; ++j) {
      EXPECT_EQ(relation.representatives().label_sums(j, 0), sum[static_cast<std::size_t>(j)]);
    }
  }
}

/// Labels spread as a walker who goes on with probability a, summed over many steps.
TEST(SimilarityRelation, SpreadLabelsAreThoseOfARandomWalk) {
  const Data data = make_data(300, 3, 15);
  SimilarityOptions options = with_k(12);
  options.label_spreading = 0.7;
  options.n_neighbors = 3;
  const SimilarityRelation relation = make_relation(data, options);
  const Attachments among = relation.attach_representatives();
  Eigen::MatrixXd w = Eigen::MatrixXd::Zero(12, 12);
  for (Index j = 0; j < 12; ++j) {
    for (Index e = among.begin(j); e < among.end(j); ++e) {
      const Index other = among.source[static_cast<std::size_t>(e)];
      w(j, other) += among.weight[static_cast<std::size_t>(e)] / 2.0;
      w(other, j) += among.weight[static_cast<std::size_t>(e)] / 2.0;
    }
  }
  for (Index j = 0; j < 12; ++j) w.row(j) /= w.row(j).sum();
  const auto spread = [&](Eigen::MatrixXd values) {
    Eigen::MatrixXd total = Eigen::MatrixXd::Zero(values.rows(), values.cols());
    double share = 0.3;
    for (int step = 0; step < 200; ++step, share *= 0.7) {
      total += share * values;
      values = w * values;
    }
    return total;
  };
  // What target i hears of representative j, by leaving its label out before anything is spread.
  const Attachments targets = relation.attach_training(data.x, data.channels.values, 1);
  const double prior = data.channels.prior[0];
  for (Index i = 0; i < 300; i += 29) {
    Eigen::MatrixXd sums = Eigen::MatrixXd::Zero(12, 1), mass = sums;
    for (Index m = 0; m < 300; ++m) {
      if (m == i) continue;
      sums(relation.assignment()[static_cast<std::size_t>(m)], 0) += data.channels.values(m, 0);
      mass(relation.assignment()[static_cast<std::size_t>(m)], 0) += 1.0;
    }
    sums = spread(sums);
    mass = spread(mass);
    for (Index j = 0; j < 12; ++j) {
      const double share = (sums(j, 0) + 5.0 * prior) / (mass(j, 0) + 5.0);
      std::vector<float> node(static_cast<std::size_t>(relation.n_features()));
      relation.node(j, targets, i, node.data());
      EXPECT_NEAR(node[3], std::log(share / (1 - share)) - std::log(prior / (1 - prior)), 1e-4);
    }
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

TEST(SimilarityRelation, FollowsNewRowsAndKeepsTheTotalMass) {
  const Data data = make_data(600, 3, 16);
  SimilarityRelation relation = make_relation(data, with_k(20));
  relation.finish_training({});
  const Matrix<float> before = relation.representatives().vectors;
  // 200 rows like the old ones, 50 of them without a label, and 40 far away.
  Data later = make_data(240, 3, 17);
  later.x.bottomRows(40).array() += 60.0f;
  Matrix<float> labels = later.channels.values;
  labels.topRows(50).setConstant(std::numeric_limits<float>::quiet_NaN());
  const compress::Drift drift = relation.update(later.x, labels, 2);
  EXPECT_EQ(drift.rows, 240);
  EXPECT_GT(drift.added, 0);
  EXPECT_GT(drift.beyond_radius, 0.15);
  const auto& representatives = relation.representatives();
  EXPECT_NEAR(std::accumulate(representatives.mass.begin(), representatives.mass.end(), 0.0), 600.0,
              1e-6);
  const auto& known = relation.labelled_mass();
  EXPECT_NEAR(std::accumulate(known.begin(), known.end(), 0.0), 360.0 + 190.0, 1e-6);
  // A row from far away is now attached to a representative of its own kind, within the 8 standard
  // deviations that the relation looks at.
  const Neighbourhood found = relation.attach(later.x.row(239).data());
  EXPECT_GT(representatives.vectors(found.representative[0], 0), 6.0f);
  EXPECT_LT((before.row(0) - representatives.vectors.row(0)).norm(), 5.0f);

  SimilarityOptions none;
  none.compressor = "none";
  SimilarityRelation uncompressed = make_relation(data, none);
  EXPECT_THROW(uncompressed.update(later.x, labels, 1), InvalidArgument);
}

TEST(SimilarityRelation, SurvivesItsFileToTheBit) {
  const Data data = make_data(500, 4, 9);
  for (const char* attach : {"knn", "epsilon", "correlation"}) {
    SimilarityOptions options = with_k(25);
    options.attach = attach;
    SimilarityRelation relation = make_relation(data, options);
    std::vector<std::int64_t> names(500);
    std::iota(names.begin(), names.end(), 1000);
    relation.finish_training(names);
    io::TensorFile file;
    relation.save(file, "r.");
    const auto loaded = SimilarityRelation::load(file, "r.", Task::kBinary, options);
    EXPECT_EQ(relation.aggregate(relation.attach(data.x, 1), 1),
              loaded.aggregate(loaded.attach(data.x, 2), 2));
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
