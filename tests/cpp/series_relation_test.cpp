#include "ecseq/relation/series_relation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ecseq/compress/compressor.hpp"
#include "ecseq/core/rng.hpp"
#include "edit_tensor.hpp"
#include "expect_refused.hpp"

namespace ecseq::relation {
namespace {

using testing::expect_refused;

/// `n` series of `shapes` kinds: each a shape of its own scale and level, with noise.
/// [n, steps * channels]
Matrix<float> make_series(Index n, Index steps, Index shapes, std::uint64_t seed,
                          Index channels = 1) {
  Rng rng(seed);
  std::vector<double> common(static_cast<std::size_t>(shapes * steps * channels));
  for (double& x : common) x = rng.normal();
  Matrix<float> out(n, steps * channels);
  for (Index s = 0; s < n; ++s) {
    const double scale = rng.uniform(0.5, 20.0), level = rng.uniform(-50.0, 50.0);
    for (Index t = 0; t < steps * channels; ++t) {
      const double shape = common[static_cast<std::size_t>(s % shapes * steps * channels + t)];
      out(s, t) = static_cast<float>(level + scale * (shape + 0.3 * rng.normal()));
    }
  }
  return out;
}

double pearson(const Eigen::VectorXd& a, const Eigen::VectorXd& b) {
  const Eigen::ArrayXd x = a.array() - a.mean(), y = b.array() - b.mean();
  return (x * y).sum() / std::sqrt(x.square().sum() * y.square().sum());
}

/// The mean of the standardised series of each representative, by definition. [K][steps]
std::vector<Eigen::VectorXd> representative_series(const SeriesRelation& relation,
                                                   const Matrix<double>& z) {
  std::vector<Eigen::VectorXd> out;
  for (Index k = 0; k < relation.n_representatives(); ++k) {
    Eigen::VectorXd sum = Eigen::VectorXd::Zero(z.cols());
    const auto members = relation.members(k);
    for (const auto s : members) sum += z.row(s).transpose();
    out.push_back(sum / static_cast<double>(members.size()));
  }
  return out;
}

Matrix<double> standardised(const Matrix<float>& series) {
  Matrix<double> z = series.cast<double>();
  for (Index s = 0; s < z.rows(); ++s) {
    z.row(s).array() -= z.row(s).mean();
    z.row(s) /= std::sqrt(z.row(s).squaredNorm() / static_cast<double>(z.cols()));
  }
  return z;
}

SeriesOptions with_k(Index k) {
  SeriesOptions options;
  options.n_representatives = k;
  return options;
}

TEST(SeriesRelation, GroupsSeriesOfOneShape) {
  const Matrix<float> series = make_series(24, 200, 4, 1);
  const SeriesRelation relation(series, 1, with_k(4), 1, 2);
  ASSERT_EQ(relation.n_representatives(), 4);
  for (Index s = 4; s < 24; ++s) {
    EXPECT_EQ(relation.assignment()[static_cast<std::size_t>(s)],
              relation.assignment()[static_cast<std::size_t>(s % 4)]);
  }
}

TEST(SeriesRelation, NearestHaveTheWeightsOfTheirDefinition) {
  const Matrix<float> series = make_series(30, 100, 9, 2);
  const SeriesRelation relation(series, 1, with_k(9), 1, 2);
  const Matrix<double> z = standardised(series);
  const auto representatives = representative_series(relation, z);
  ASSERT_GE(representatives.size(), 4U);
  for (Index s = 0; s < 30; ++s) {
    std::vector<std::pair<double, Index>> all;
    for (std::size_t k = 0; k < representatives.size(); ++k) {
      all.emplace_back(-pearson(z.row(s).transpose(), representatives[k]), static_cast<Index>(k));
    }
    std::sort(all.begin(), all.end());
    const auto heard = relation.neighbourhood(s);
    ASSERT_EQ(heard.representative.size(), 4U);
    double total = 0.0;
    for (int j = 0; j < 4; ++j) total += std::exp(-4.0 * all[static_cast<std::size_t>(j)].first);
    for (std::size_t j = 0; j < 4; ++j) {
      EXPECT_EQ(heard.representative[j], all[j].second);
      EXPECT_NEAR(heard.correlation[j], -all[j].first, 1e-5);
      EXPECT_NEAR(heard.weight[j], std::exp(-4.0 * all[j].first) / total, 1e-5);
    }
  }
  EXPECT_EQ(relation.isolation_rate(), 0.0);
}

TEST(SeriesRelation, CorrelatedOnesCountEquallyAndTheNearestStandsInForNone) {
  Matrix<float> series = make_series(12, 100, 3, 3);
  series.row(11) = make_series(1, 100, 1, 77).row(0);  // alone
  // Groups of two shapes each hide how well they fit; the last series joins one of them.
  auto options = with_k(3);
  options.compressor = "custom";
  options.custom = [](const compress::CompressionInput& input, Index) {
    compress::Grouping grouping;
    for (Index s = 0; s < input.x.rows; ++s) grouping.cluster.push_back(s % 3);
    return grouping;
  };
  options.attach = "correlation";
  options.min_correlation = 0.6;
  const SeriesRelation relation(series, 1, options, 1, 1);
  const Matrix<double> z = standardised(series);
  const auto representatives = representative_series(relation, z);
  Index isolated = 0;
  for (Index s = 0; s < 12; ++s) {
    std::vector<Index> expected;
    double best = -2.0;
    Index nearest = 0;
    for (Index k = 0; k < 3; ++k) {
      const double c = pearson(z.row(s).transpose(), representatives[static_cast<std::size_t>(k)]);
      if (c >= 0.6) expected.push_back(k);
      if (c > best) {
        best = c;
        nearest = k;
      }
    }
    if (expected.empty()) {
      ++isolated;
      expected.push_back(nearest);
    }
    const auto heard = relation.neighbourhood(s);
    std::vector<Index> got(heard.representative.begin(), heard.representative.end());
    std::sort(got.begin(), got.end());
    EXPECT_EQ(got, expected) << s;
    for (const float weight : heard.weight) {
      EXPECT_FLOAT_EQ(weight, 1.0F / static_cast<float>(expected.size()));
    }
  }
  EXPECT_GT(isolated, 0);
  EXPECT_DOUBLE_EQ(relation.isolation_rate(), static_cast<double>(isolated) / 12.0);
}

TEST(SeriesRelation, OnlyTheLastLagsCount) {
  const Matrix<float> late = make_series(10, 60, 3, 4);
  Matrix<float> series(10, 160);
  series.leftCols(100) = make_series(10, 100, 2, 5);
  series.rightCols(60) = late;
  auto options = with_k(3);
  options.lags = 60;
  const SeriesRelation whole(series, 1, options, 1, 1), part(late, 1, options, 1, 1);
  EXPECT_EQ(whole.assignment(), part.assignment());
  for (Index s = 0; s < 10; ++s) {
    const auto a = whole.neighbourhood(s), b = part.neighbourhood(s);
    EXPECT_TRUE(std::equal(a.correlation.begin(), a.correlation.end(), b.correlation.begin(),
                           b.correlation.end()));
  }
}

TEST(SeriesRelation, ASeriesThatDoesNotVaryIsCorrelatedWithNothing) {
  Matrix<float> series = make_series(9, 80, 3, 6);
  series.row(4).setConstant(1234.567F);
  series.row(7).setConstant(0.0F);
  const SeriesRelation relation(series, 1, with_k(4), 1, 1);
  EXPECT_EQ(relation.constant_series(), (std::vector<std::int64_t>{4, 7}));
  for (const Index s : {4, 7}) {
    for (const float c : relation.neighbourhood(s).correlation) EXPECT_EQ(c, 0.0F);
  }
}

TEST(SeriesRelation, ChannelsAreStandardisedEachByItself) {
  // Both channels of series 0 and 1 move alike, whatever their scales; series 2 goes against them.
  Rng rng(9);
  Matrix<float> series(3, 2 * 50);
  for (Index t = 0; t < 50; ++t) {
    const double a = rng.normal(), b = rng.normal();
    series.row(0).segment(2 * t, 2) << static_cast<float>(a), static_cast<float>(1000.0 * b);
    series.row(1).segment(2 * t, 2) << static_cast<float>(500.0 * a + 3.0), static_cast<float>(b);
    series.row(2).segment(2 * t, 2) << static_cast<float>(-a), static_cast<float>(-b);
  }
  const SeriesRelation relation(series, 2, with_k(3), 1, 1);
  const auto heard = relation.neighbourhood(0);
  ASSERT_EQ(heard.representative.size(), 3U);  // fewer than four neighbours: all
  EXPECT_NEAR(heard.correlation[0], 1.0, 1e-5);
  EXPECT_NEAR(heard.correlation[1], 1.0, 1e-5);
  EXPECT_EQ(heard.representative[2], 2);
  EXPECT_NEAR(heard.correlation[2], -1.0, 1e-5);
}

TEST(SeriesRelation, RepresentsAndAggregatesByDefinition) {
  const Matrix<float> series = make_series(20, 90, 5, 10);
  const SeriesRelation relation(series, 1, with_k(5), 1, 1);
  const Matrix<float> e = make_series(20, 7, 20, 11);
  Matrix<float> x(relation.n_representatives(), 7);
  relation.represent(e.data(), 7, x.data());
  for (Index k = 0; k < x.rows(); ++k) {
    Eigen::RowVectorXd mean = Eigen::RowVectorXd::Zero(7);
    for (const auto s : relation.members(k)) mean += e.row(s).cast<double>();
    mean /= static_cast<double>(relation.members(k).size());
    EXPECT_LT((x.row(k).cast<double>() - mean).norm(), 1e-4);
  }
  for (Index s = 0; s < 20; ++s) {
    const auto heard = relation.neighbourhood(s);
    Eigen::RowVectorXd expected = Eigen::RowVectorXd::Zero(7);
    for (std::size_t j = 0; j < heard.weight.size(); ++j) {
      expected +=
          static_cast<double>(heard.weight[j]) * x.row(heard.representative[j]).cast<double>();
    }
    RowVector<float> got(7);
    relation.aggregate(s, x.data(), 7, got.data());
    EXPECT_LT((got.cast<double>() - expected).norm(), 1e-4);
  }
}

TEST(SeriesRelation, EveryCompressorAndNumberGivesEachRepresentativeAMember) {
  const Matrix<float> series = make_series(30, 100, 6, 12);
  for (const char* name : {"kmeans", "agc", "grain", "variation_edges", "heavy_edge", "random",
                           "medoids", "balanced_kmeans"}) {
    auto options = with_k(8);
    options.compressor = name;
    const SeriesRelation relation(series, 1, options, 3, 1);
    EXPECT_GE(relation.n_representatives(), 1) << name;
    EXPECT_LE(relation.n_representatives(), 30) << name;
    for (Index k = 0; k < relation.n_representatives(); ++k) {
      EXPECT_FALSE(relation.members(k).empty()) << name;
    }
  }
  EXPECT_EQ(SeriesRelation(series, 1, SeriesOptions{}, 3, 1).n_representatives(), 10);
  const SeriesRelation each(series, 1, with_k(500), 3, 1);
  EXPECT_EQ(each.n_representatives(), 30);
  EXPECT_EQ(each.members(17), (std::vector<std::int64_t>{17}));
  EXPECT_NE(each.note(), "");
}

TEST(SeriesRelation, ThreadsDoNotChangeIt) {
  const Matrix<float> series = make_series(70, 120, 6, 13);
  const SeriesRelation one(series, 1, with_k(20), 5, 1), four(series, 1, with_k(20), 5, 4);
  EXPECT_EQ(one.assignment(), four.assignment());
  for (Index s = 0; s < 70; ++s) {
    const auto a = one.neighbourhood(s), b = four.neighbourhood(s);
    EXPECT_TRUE(std::equal(a.weight.begin(), a.weight.end(), b.weight.begin(), b.weight.end()));
  }
}

TEST(SeriesRelation, FileKeepsItAndRefusesWhatDoesNotFit) {
  const SeriesRelation relation(make_series(15, 100, 3, 14), 1, with_k(5), 1, 1);
  io::TensorFile file;
  relation.save(file, "r.");
  const auto again = SeriesRelation::load(file, "r.", relation.options());
  EXPECT_EQ(again.assignment(), relation.assignment());
  EXPECT_EQ(again.n_representatives(), relation.n_representatives());
  const auto refused = [&](const auto& damage) {
    io::TensorFile bad = file;
    damage(bad);
    EXPECT_THROW(SeriesRelation::load(bad, "r.", relation.options()), FileError);
  };
  refused([](auto& f) { f.integers["r.assignment"][3] = 15; });
  refused([](auto& f) { f.integers["r.assignment"][3] = -1; });
  refused([](auto& f) {
    std::fill(f.integers["r.assignment"].begin(), f.integers["r.assignment"].end(), 1);
  });  // nobody's 0
  refused([](auto& f) { f.integers["r.assignment"].clear(); });
  refused([](auto& f) { f.integers["r.offsets"][2] = 1000; });
  refused([](auto& f) { std::swap(f.integers["r.offsets"][2], f.integers["r.offsets"][3]); });
  refused([](auto& f) { f.integers["r.representative"][0] = 5; });
  refused([](auto& f) { f.floats["r.weight"] = Matrix<float>::Zero(1, 2); });
  refused([](auto& f) { testing::set(f.floats["r.weight"], 0, 1, NAN); });
  refused([](auto& f) { f.floats.erase("r.correlation"); });
}

TEST(SeriesRelation, BadOptionsAreRefusedByName) {
  const Matrix<float> series = make_series(5, 20, 2, 15);
  const auto refused = [&](const auto& change, const std::string& message) {
    SeriesOptions options;
    change(options);
    expect_refused([&] { SeriesRelation(series, 1, options, 1, 1); }, message);
  };
  refused([](auto& o) { o.attach = "best"; }, "attach: 'best' is not one of 'knn', 'correlation'");
  refused([](auto& o) { o.n_neighbors = 0; }, "n_neighbors: expected at least 1, got 0");
  refused([](auto& o) { o.lags = 1; }, "lags: expected at least 2, got 1");
  refused([](auto& o) { o.min_correlation = 1.5; },
          "min_correlation: expected a correlation in [-1, 1], got 1.500000");
  refused([](auto& o) { o.n_representatives = -3; },
          "n_representatives: expected at least 1, got -3");
}

}  // namespace
}  // namespace ecseq::relation
