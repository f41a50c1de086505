#include "ecseq/nn/ranking_metrics.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"

namespace ecseq::nn {
namespace {

struct Sample {
  std::vector<float> scores, labels;
};

/// Scores from a few values only, so that ties are common.
Sample random_sample(std::uint64_t seed) {
  Rng rng(seed);
  Sample out;
  const Index n = 2 + rng.below(40), distinct = 1 + rng.below(20);
  for (Index i = 0; i < n; ++i) {
    out.scores.push_back(static_cast<float>(rng.below(distinct)) - 3.0F);
    out.labels.push_back(rng.uniform() < 0.4 ? 1.0F : 0.0F);
  }
  out.labels[0] = 1.0F;
  out.labels[1] = 0.0F;
  return out;
}

double count(const Sample& s, float threshold, float label) {
  double n = 0;
  for (std::size_t i = 0; i < s.scores.size(); ++i) {
    n += s.scores[i] >= threshold && s.labels[i] == label;
  }
  return n;
}

TEST(RankingMetrics, RocAucCountsPairs) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const Sample s = random_sample(seed);
    double won = 0, pairs = 0;
    for (std::size_t i = 0; i < s.scores.size(); ++i) {
      for (std::size_t j = 0; j < s.scores.size(); ++j) {
        if (s.labels[i] == 1.0F && s.labels[j] == 0.0F) {
          won += s.scores[i] > s.scores[j] ? 1.0 : s.scores[i] == s.scores[j] ? 0.5 : 0.0;
          pairs += 1;
        }
      }
    }
    ASSERT_NEAR(roc_auc(s.scores, s.labels), won / pairs, 1e-12) << seed;
  }
}

TEST(RankingMetrics, AveragePrecisionAndRecallFollowEveryThreshold) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const Sample s = random_sample(seed);
    const double positives = count(s, -100.0F, 1.0F);
    const std::set<float, std::greater<>> thresholds(s.scores.begin(), s.scores.end());
    double sum = 0, before = 0, recall_half = 0, recall_most = 0;
    for (const float t : thresholds) {
      const double tp = count(s, t, 1.0F), fp = count(s, t, 0.0F);
      const double precision = tp / (tp + fp), recall = tp / positives;
      sum += (recall - before) * precision;
      before = recall;
      if (precision >= 0.5) recall_half = std::max(recall_half, recall);
      if (precision >= 0.9) recall_most = std::max(recall_most, recall);
    }
    ASSERT_NEAR(average_precision(s.scores, s.labels), sum, 1e-12) << seed;
    ASSERT_NEAR(recall_at_precision(s.scores, s.labels, 0.5), recall_half, 1e-12) << seed;
    ASSERT_NEAR(recall_at_precision(s.scores, s.labels, 0.9), recall_most, 1e-12) << seed;
  }
}

TEST(RankingMetrics, KnownValues) {
  const std::vector<float> scores{0.1F, 0.4F, 0.35F, 0.8F}, labels{0, 0, 1, 1};
  EXPECT_DOUBLE_EQ(roc_auc(scores, labels), 0.75);
  EXPECT_NEAR(average_precision(scores, labels), 0.8333333333, 1e-9);
  EXPECT_DOUBLE_EQ(recall_at_precision(scores, labels, 0.9), 0.5);
  const std::vector<float> backwards{1, 1, 0, 0};
  EXPECT_DOUBLE_EQ(roc_auc(scores, backwards), 0.25);
  EXPECT_DOUBLE_EQ(recall_at_precision(scores, backwards, 0.9), 0.0);
}

TEST(RankingMetrics, RankingScoreIsTheOneAskedForOrTheMean) {
  const std::vector<float> scores{0.1F, 0.4F, 0.35F, 0.8F}, labels{0, 0, 1, 1};
  EXPECT_DOUBLE_EQ(ranking_score(scores, labels, "auc"), 0.75);
  EXPECT_DOUBLE_EQ(ranking_score(scores, labels, "ap"), average_precision(scores, labels));
  EXPECT_DOUBLE_EQ(ranking_score(scores, labels, "auto"),
                   (0.75 + average_precision(scores, labels)) / 2);
}

TEST(RankingMetrics, UndefinedIsNaNAndLengthsMustMatch) {
  const std::vector<float> scores{1, 2, 3}, zeros{0, 0, 0}, ones{1, 1, 1}, two{0, 1},
      mixed{0, 1, 1};
  EXPECT_TRUE(std::isnan(roc_auc(scores, zeros)));
  EXPECT_TRUE(std::isnan(roc_auc(scores, ones)));
  EXPECT_TRUE(std::isnan(average_precision(scores, zeros)));
  EXPECT_DOUBLE_EQ(average_precision(scores, ones), 1.0);
  EXPECT_TRUE(std::isnan(recall_at_precision(scores, zeros, 0.5)));
  EXPECT_TRUE(std::isnan(roc_auc(std::vector<float>{}, std::vector<float>{})));
  const std::vector<float> broken{1, std::nanf(""), 3};
  EXPECT_TRUE(std::isnan(roc_auc(broken, mixed)));
  EXPECT_THROW(roc_auc(scores, two), InvalidArgument);
}

}  // namespace
}  // namespace ecseq::nn
