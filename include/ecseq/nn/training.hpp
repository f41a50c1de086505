#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ecseq/core/progress.hpp"
#include "ecseq/nn/parameters.hpp"

namespace ecseq::nn {

/// How a network is trained.
struct TrainingOptions {
  Index batch_size = 1024;          ///< samples per batch
  Index shard_size = 128;           ///< samples per tape; fixed, so results ignore the thread count
  int max_epochs = 100;             ///< passes over the training samples
  int patience = 10;                ///< epochs without a better validation score before stopping
  std::string optimizer = "adamw";  ///< "adam", "adamw" or "sgd"
  double learning_rate = 5e-3;      ///< at the start
  std::string schedule = "constant";  ///< "constant", "cosine" (to 0, per step) or "plateau"
  int plateau_patience = 2;           ///< epochs without a better score before the rate is halved
  double weight_decay = 0.0;          ///< "adamw": decoupled; "adam", "sgd": L2
  double momentum = 0.9;              ///< of "sgd"
  Index accumulate = 1;               ///< batches whose mean gradient makes one step
  bool bucket_by_length = false;      ///< batches of like cost; needs row costs
  double clip_norm = 5.0;             ///< gradient norm bound; 0 = none
  std::uint64_t seed = 0;             ///< shuffling and dropout
  int num_threads = 0;                ///< 0 = the process default
  std::string stage = "train";        ///< name in progress reports
};

/// About twenty steps an epoch, so that small data is not under-trained, in batches of 16 to
/// `highest`.
inline Index automatic_batch_size(Index n_samples, Index highest) {
  return std::clamp<Index>(n_samples / 20, 16, highest);
}

/// What validation says of the current weights.
struct ValidationScore {
  double score = 0.0;  ///< higher is better; decides early stopping
  double loss = 0.0;   ///< for the curve
};

struct EpochRecord {
  double learning_rate = 0.0;  ///< of its first step
  double training_loss = 0.0;
  double validation_loss = 0.0;
  double validation_score = 0.0;
  double seconds = 0.0;
};

struct TrainingReport {
  std::vector<EpochRecord> epochs;
  int best_epoch = -1;      ///< whose weights were kept
  std::string stop_reason;  ///< "max_epochs", "early_stopping", "diverged" or "interrupted"
  double seconds = 0.0;
};

/// Builds the SUM of the losses of `rows` on the tape; called from several threads at once, each
/// with its own tape and gradient. `rng` is seeded by (seed, batch, shard): use it for dropout.
using ShardLoss = std::function<autograd::Variable<float>(const BoundParameters<float>& parameters,
                                                          std::span<const Index> rows, Rng& rng)>;

/// Scores the current parameters on held-out samples.
using Validate = std::function<ValidationScore(const Parameters<float>& parameters)>;

/// What is trained.
struct TrainingProblem {
  Index n_samples = 0;
  ShardLoss shard_loss;
  Validate validate;  ///< may be empty: the training loss decides
  /// [n_samples] or empty. Orders the samples of a batch from costly to cheap before it is cut into
  /// shards, so that sequences of like length share a shard.
  std::span<const Index> row_costs = {};
  /// After each optimiser step, e.g. to project rows onto a ball; may be empty.
  std::function<void(Parameters<float>& parameters)> after_step = {};
};

/// Mini-batch training with early stopping; on return `parameters` holds the weights of the best
/// epoch. Where the callback or `validate` interrupts after at least one epoch, the report says so.
/// Throws, with the best weights so far in `parameters`, what else `shard_loss`, `validate` or the
/// callback throw; Diverged if no epoch ended with finite values, Interrupted if none ended at all.
TrainingReport train(Parameters<float>& parameters, const TrainingProblem& problem,
                     const TrainingOptions& options, const ProgressCallback& progress = {});

}  // namespace ecseq::nn
