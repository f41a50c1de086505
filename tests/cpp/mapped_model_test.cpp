// A model whose file is mapped: the same scores, out of memory that processes share.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "ecseq/core/rng.hpp"
#include "ecseq/pipeline/model.hpp"
#include "ecseq/serving/live_scorer.hpp"
#include "quick_model.hpp"
#include "temporary_folder.hpp"

namespace ecseq::serving {
namespace {

using encoders::EncoderOptions;
using encoders::SequenceEncoder;
using io::FileAccess;

constexpr Index kCategories = 100'000;
constexpr Index kDimension = 32;

/// Sequences of (a number, a category of many), whose label is the number's sign.
struct Events {
  Sequences sequences;
  Targets y{Task::kBinary, 2, {}};

  Events(Index n, std::uint64_t seed) {
    constexpr Index kLength = 4;
    Rng rng(seed);
    Matrix<float> values(n * kLength, 2);
    std::vector<std::int64_t> offsets{0};
    for (Index i = 0; i < n * kLength; ++i) {
      values(i, 0) = static_cast<float>(rng.normal());
      values(i, 1) = static_cast<float>(rng.below(kCategories));
      if ((i + 1) % kLength != 0) continue;
      offsets.push_back(i + 1);
      y.values.push_back(values(i, 0) > 0 ? 1.0F : 0.0F);
    }
    sequences = Sequences(values, offsets);
  }
  pipeline::Samples samples() const {
    pipeline::Samples out;
    out.sequences = sequences.view();
    return out;
  }
};

EncoderOptions encoder_options() {
  EncoderOptions options;
  options.hidden_size = 8;
  options.training.max_epochs = 1;
  options.categorical = {{1, kDimension, 0.0, 1}};
  return options;
}

/// A model whose table of categories, 13 MB, is nearly all of it.
pipeline::Model large_model() {
  const Events training(300, 1), validation(100, 2);
  const EncoderOptions options = encoder_options();
  const auto small = SequenceEncoder::fit(training.sequences, training.y, validation.sequences,
                                          validation.y, options);
  auto tensors = small.tensors();
  tensors["event.vocabulary_1"] =
      Eigen::RowVectorXf::LinSpaced(kCategories, 0.0F, static_cast<float>(kCategories - 1));
  Rng rng(3);
  Matrix<float> table(kCategories + 1, kDimension);
  for (Index i = 0; i < table.size(); ++i) table.data()[i] = static_cast<float>(rng.normal());
  tensors["event.embedding_1"] = table;
  return testing::quick_model(training, validation,
                              SequenceEncoder::from_tensors(tensors, options, Task::kBinary, 2));
}

/// Kilobytes of this process that are its own and could not be dropped and read again.
std::optional<long> private_dirty() {
  std::ifstream rollup("/proc/self/smaps_rollup");
  std::string word;
  while (rollup >> word) {
    if (word != "Private_Dirty:") continue;
    long kilobytes = 0;
    rollup >> kilobytes;
    return kilobytes;
  }
  return {};
}

class MappedModel : public ::testing::Test {
 protected:
  void SetUp() override { large_model().save(path_); }

  testing::TemporaryFolder folder_;
  std::string path_ = folder_.file("model.ecseq");
};

TEST_F(MappedModel, ScoresAsAReadOneToTheBit) {
  const Scorer read = Scorer::load(path_, {.window = 0, .file_access = FileAccess::kRead});
  const Scorer mapped = Scorer::load(path_);
  EXPECT_EQ(read.encoder_id(), mapped.encoder_id());
  const Events test(200, 4);
  const Matrix<float> expected = read.score_batch(test.samples());
  EXPECT_EQ(mapped.score_batch(test.samples()), expected);
  EXPECT_GT(expected.maxCoeff() - expected.minCoeff(), 0.01F);
  const SequencesView all = test.sequences;
  State one = read.start(), other = mapped.start();
  for (Index row = 0; row < 4; ++row) {
    const Event event{{all.values.row(row), 2}, 0.0, {}};
    EXPECT_EQ(read.update(one, event), mapped.update(other, event));
  }
}

TEST_F(MappedModel, TakesHardlyAnyMemoryOfTheProcess) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers take memory of their own";
#endif
  if (!private_dirty()) GTEST_SKIP() << "the system does not say what memory is a process's own";
  // Of a process of its own, as memory that was freed is used again. In megabytes.
  const auto taken = [&](FileAccess access) {
    const pid_t child = ::fork();
    if (child == 0) {
      const long before = *private_dirty();
      const Scorer scorer = Scorer::load(path_, {.window = 0, .file_access = access});
      const Events test(2000, 5);
      const Matrix<float> scores = scorer.score_batch(test.samples(), 1);
      std::_Exit(scores.allFinite() ? static_cast<int>((*private_dirty() - before) / 1024) : 255);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  const int table = kCategories * kDimension * 4 / (1 << 20);
  const int mapped = taken(FileAccess::kMap), read = taken(FileAccess::kRead);
  EXPECT_GE(mapped, 0);
  EXPECT_LT(mapped, table / 3);
  EXPECT_GE(read, table);
  EXPECT_LT(read, 255);
}

TEST_F(MappedModel, IsReplacedWhileItScores) {
  LiveScorer live(path_);
  const Events test(50, 6);
  const Matrix<float> expected = live.current()->scorer.score_batch(test.samples());
  const auto held = live.current();
  large_model().save(path_);  // by renaming
  live.reload(path_);
  EXPECT_EQ(held->scorer.score_batch(test.samples()), expected);
  EXPECT_EQ(live.current()->scorer.score_batch(test.samples()), expected);
  std::filesystem::remove(path_);
  EXPECT_EQ(live.current()->scorer.score_batch(test.samples()), expected);
}

TEST_F(MappedModel, CanBeTrainedOn) {
  const pipeline::Model mapped = pipeline::Model::load(path_, FileAccess::kMap);
  const auto before = mapped.encoder()->tensors();
  const Events training(100, 7), validation(50, 8);
  const auto tuned = SequenceEncoder::fit(training.sequences, training.y, validation.sequences,
                                          validation.y, encoder_options(), {}, &*mapped.encoder());
  EXPECT_NE(tuned.tensors().at("lstm.weight_hidden"), before.at("lstm.weight_hidden"));
  EXPECT_EQ(mapped.encoder()->tensors(), before);
  EXPECT_EQ(pipeline::Model::load(path_).to_bytes(), mapped.to_bytes());
}

}  // namespace
}  // namespace ecseq::serving
