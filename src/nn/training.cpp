#include "ecseq/nn/training.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <mutex>

#include "ecseq/core/parallel.hpp"
#include "ecseq/kernels/flush_denormals.hpp"
#include "ecseq/nn/learning_rate.hpp"
#include "ecseq/nn/optimizer.hpp"

namespace ecseq::nn {
namespace {

using Clock = std::chrono::steady_clock;
using Tape = autograd::Tape<float>;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool all_finite(const std::vector<float>& x) {
  return Eigen::Map<const Eigen::ArrayXf>(x.data(), static_cast<Index>(x.size())).allFinite();
}

std::string number(const char* format, double x) {
  char text[64];
  std::snprintf(text, sizeof text, format, x);
  return text;
}

/// As many tapes as threads ever ran at once. Which thread gets which tape does not matter:
/// a tape carries memory from shard to shard, never values.
class TapePool {
 public:
  std::unique_ptr<Tape> take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (free_.empty()) return std::make_unique<Tape>();
    auto tape = std::move(free_.back());
    free_.pop_back();
    return tape;
  }
  void give_back(std::unique_ptr<Tape> tape) {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(std::move(tape));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Tape>> free_;
};

void check(const TrainingOptions& o, const TrainingProblem& problem) {
  const auto require = [](bool ok, const char* name, const char* expected, double got) {
    if (ok) return;
    throw InvalidArgument(std::string(name) + ": expected " + expected + ", got " +
                          number("%g", got));
  };
  const auto real = [](auto x) { return static_cast<double>(x); };
  const std::size_t n_costs = problem.row_costs.size();
  require(problem.n_samples >= 1, "n_samples", "at least 1", real(problem.n_samples));
  require(o.batch_size >= 1, "batch_size", "at least 1", real(o.batch_size));
  require(o.shard_size >= 1, "shard_size", "at least 1", real(o.shard_size));
  require(o.max_epochs >= 1, "max_epochs", "at least 1", o.max_epochs);
  require(o.patience >= 1, "patience", "at least 1", o.patience);
  require(o.plateau_patience >= 1, "plateau_patience", "at least 1", o.plateau_patience);
  require(o.accumulate >= 1, "accumulate", "at least 1", real(o.accumulate));
  require(o.momentum >= 0 && o.momentum < 1, "momentum", "a number in [0, 1)", o.momentum);
  require(std::isfinite(o.learning_rate) && o.learning_rate > 0, "learning_rate",
          "a positive number", o.learning_rate);
  require(std::isfinite(o.weight_decay) && o.weight_decay >= 0, "weight_decay", "a number >= 0",
          o.weight_decay);
  require(o.clip_norm >= 0, "clip_norm", "a number >= 0 (0 = none)", o.clip_norm);
  require(n_costs == 0 || n_costs == static_cast<std::size_t>(problem.n_samples), "row_costs",
          "one cost per sample, or none", real(n_costs));
  require(!o.bucket_by_length || n_costs > 0, "bucket_by_length", "false where there are no costs",
          o.bucket_by_length);
}

/// How many parts of up to `size` make `count` >= 1.
Index parts(Index count, Index size) { return 1 + (count - 1) / size; }

/// The state of one call of `train`.
class Trainer {
 public:
  Trainer(Parameters<float>& parameters, const TrainingProblem& problem,
          const TrainingOptions& options, const ProgressCallback& progress)
      : parameters_(parameters),
        problem_(problem),
        options_(options),
        progress_(progress),
        threads_(resolve_threads(options.num_threads)),
        n_batches_(parts(problem.n_samples, options.batch_size)),
        optimizer_(make_optimizer(options.optimizer, parameters.flat().size(), options.weight_decay,
                                  options.momentum)),
        learning_rate_(options.schedule, options.learning_rate,
                       options.max_epochs * parts(n_batches_, options.accumulate),
                       options.plateau_patience),
        gradient_(parameters.flat().size()) {}

  /// One pass over the samples; returns the mean loss, which is not finite, with the parameters
  /// left as they were before the step, as soon as a step's loss or gradient is not.
  double epoch(Rng& shuffling) {
    auto order = shuffling.permutation(problem_.n_samples);
    std::vector<Index> batch_order;
    if (options_.bucket_by_length) {
      for (Index first = 0; first < n_batches_; first += kBucketBatches) {
        sort_by_cost(samples(order, first, std::min(first + kBucketBatches, n_batches_)));
      }
      batch_order = shuffling.permutation(n_batches_);
    }
    double loss = 0.0;
    for (Index i = 0; i < n_batches_; ++i) {
      const Index number = batch_order.empty() ? i : batch_order[at(i)];
      const std::span<Index> batch = samples(order, number, number + 1);
      if (batch_order.empty()) sort_by_cost(batch);
      if (i % options_.accumulate == 0) start_step();
      const double batch_loss = add_gradient(batch);
      if (!std::isfinite(batch_loss)) return batch_loss;
      loss += batch_loss;
      const bool last = (i + 1) % options_.accumulate == 0 || i + 1 == n_batches_;
      if (last && !finish_step()) return std::numeric_limits<double>::quiet_NaN();
    }
    return loss / static_cast<double>(problem_.n_samples);
  }

  double learning_rate() const { return learning_rate_.now(); }
  void finish_epoch(bool better) { learning_rate_.finish_epoch(better); }
  void set_message(std::string message) { message_ = std::move(message); }
  void report_now() {
    last_report_ = Clock::now();
    report(progress_,
           {options_.stage, done_, problem_.n_samples * Index{options_.max_epochs}, message_});
  }

 private:
  /// The samples of batches [first, last).
  std::span<Index> samples(std::vector<Index>& order, Index first, Index last) const {
    const Index begin = first * options_.batch_size;
    const Index end = last == n_batches_ ? problem_.n_samples : last * options_.batch_size;
    return {order.data() + begin, at(end - begin)};
  }
  /// From costly to cheap, if costs are known.
  void sort_by_cost(std::span<Index> rows) const {
    const auto costs = problem_.row_costs;
    if (costs.empty()) return;
    std::stable_sort(rows.begin(), rows.end(),
                     [&](Index a, Index b) { return costs[at(a)] > costs[at(b)]; });
  }

  void start_step() {
    std::fill(gradient_.begin(), gradient_.end(), 0.0F);
    step_samples_ = 0;
  }

  /// Adds the gradient of the sum of the batch's losses, which is returned.
  double add_gradient(std::span<const Index> batch) {
    const auto size = static_cast<Index>(batch.size());
    const Index n_shards = parts(size, options_.shard_size);
    double loss = 0.0;
    // Shards run in waves, as long as the callback's patience and memory for gradients allow.
    // Gradients are added shard by shard in order, so the length of a wave shows nowhere.
    for (Index first = 0; first < n_shards;) {
      const Index count = std::min(wave(), n_shards - first);
      if (static_cast<Index>(slots_.size()) < count) slots_.resize(static_cast<std::size_t>(count));
      // Waking a thread for less than it costs would slow small networks down.
      const bool small = static_cast<double>(count) * shard_seconds_ < kWorthThreads;
      parallel_for(count, small ? 1 : threads_,
                   [&](Index i) { run_shard(batch, first + i, slots_[at(i)]); });
      const kernels::FlushDenormals flush;
      for (Index i = 0; i < count; ++i) {
        shard_seconds_ = std::min(shard_seconds_, slots_[at(i)].seconds);
        loss += slots_[at(i)].loss;
        as_array(gradient_) += as_array(slots_[at(i)].gradient);
      }
      first += count;
      if (seconds_since(last_report_) > kReportSeconds) report_now();
    }
    ++batches_done_;
    done_ += size;
    step_samples_ += size;
    return loss;
  }

  /// Moves the parameters along the mean gradient; false, and they stay, if it is not finite.
  bool finish_step() {
    const kernels::FlushDenormals flush;
    as_array(gradient_) *= 1.0F / static_cast<float>(step_samples_);
    double squares = 0.0;
    for (const float g : gradient_) squares += static_cast<double>(g) * static_cast<double>(g);
    const double norm = std::sqrt(squares);
    if (!std::isfinite(norm)) return false;
    if (options_.clip_norm > 0 && norm > options_.clip_norm) {
      as_array(gradient_) *= static_cast<float>(options_.clip_norm / norm);
    }
    optimizer_->step(parameters_.flat(), gradient_, learning_rate_.now());
    learning_rate_.finish_step();
    if (problem_.after_step) problem_.after_step(parameters_);
    return true;
  }

  /// Shards between two looks at the clock: some 20 ms of work, going by the fastest shard so far,
  /// so that a busy machine does not shorten waves and thereby wait for its threads more often.
  Index wave() const {
    const double longest = std::max<double>(kLongestWave, threads_);
    const double shards = kWaveSeconds * threads_ / shard_seconds_;
    return static_cast<Index>(std::clamp(shards, static_cast<double>(threads_), longest));
  }

  struct Slot {
    std::vector<float> gradient;
    double loss = 0.0;
    double seconds = 0.0;
  };

  void run_shard(std::span<const Index> batch, Index shard, Slot& slot) {
    const kernels::FlushDenormals flush;
    const auto start = Clock::now();
    const auto begin = static_cast<std::size_t>(shard * options_.shard_size);
    const auto rows = batch.subspan(
        begin, std::min(static_cast<std::size_t>(options_.shard_size), batch.size() - begin));
    slot.gradient.assign(gradient_.size(), 0.0F);
    // Stream 0 shuffles; (batch, shard) pairs take the others.
    Rng rng(options_.seed, ((batches_done_ + 1) << 20U) + static_cast<std::uint64_t>(shard));
    auto tape = tapes_.take();
    tape->reset();
    const BoundParameters<float> bound(*tape, parameters_, slot.gradient);
    const auto loss = problem_.shard_loss(bound, rows, rng);
    slot.loss = static_cast<double>(loss.value()(0, 0));
    if (loss.needs_gradient()) tape->backward(loss);
    tapes_.give_back(std::move(tape));
    slot.seconds = seconds_since(start);
  }

  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }
  static Eigen::Map<Eigen::ArrayXf> as_array(std::vector<float>& x) {
    return {x.data(), static_cast<Index>(x.size())};
  }

  static constexpr Index kBucketBatches = 16;  ///< batches whose samples are sorted together
  static constexpr Index kLongestWave = 64;
  static constexpr double kReportSeconds = 0.025;
  static constexpr double kWaveSeconds = 0.02;
  static constexpr double kWorthThreads = 2e-4;

  Parameters<float>& parameters_;
  const TrainingProblem& problem_;
  const TrainingOptions& options_;
  const ProgressCallback& progress_;
  int threads_;
  Index n_batches_;  ///< per epoch
  std::unique_ptr<Optimizer> optimizer_;
  LearningRate learning_rate_;
  std::vector<float> gradient_;
  std::vector<Slot> slots_;
  TapePool tapes_;
  double shard_seconds_ = std::numeric_limits<double>::infinity();  ///< of the fastest so far
  std::uint64_t batches_done_ = 0;
  Index step_samples_ = 0;  ///< whose gradients are summed so far
  Index done_ = 0;
  std::string message_;
  Clock::time_point last_report_ = Clock::now();
};

}  // namespace

TrainingReport train(Parameters<float>& parameters, const TrainingProblem& problem,
                     const TrainingOptions& options, const ProgressCallback& progress) {
  check(options, problem);
  const auto start = Clock::now();
  TrainingReport report;
  report.stop_reason = "max_epochs";
  const std::vector<float> initial = parameters.flat();
  std::vector<float> best;
  // What a caller finds where training ends in an exception.
  const auto restore = [&] {
    if (!best.empty()) {
      parameters.flat() = best;
    } else if (!all_finite(parameters.flat())) {
      parameters.flat() = initial;
    }
  };
  Trainer trainer(parameters, problem, options, progress);
  Rng shuffling(options.seed);
  try {
    trainer.report_now();
    for (int epoch = 0; epoch < options.max_epochs; ++epoch) {
      const auto epoch_start = Clock::now();
      EpochRecord record;
      record.learning_rate = trainer.learning_rate();
      record.training_loss = trainer.epoch(shuffling);
      bool finite = std::isfinite(record.training_loss) && all_finite(parameters.flat());
      if (finite) {
        const ValidationScore held_out =
            problem.validate ? problem.validate(parameters)
                             : ValidationScore{-record.training_loss, record.training_loss};
        record.validation_loss = held_out.loss;
        record.validation_score = held_out.score;
        finite = std::isfinite(held_out.loss) && std::isfinite(held_out.score);
      }
      if (!finite) {
        if (report.best_epoch < 0) {
          throw Diverged("training diverged in epoch " + std::to_string(epoch + 1) + " (loss " +
                         number("%g", record.training_loss) + ", validation loss " +
                         number("%g", record.validation_loss) + "): lower learning_rate (now " +
                         number("%g", options.learning_rate) + ") or clip_norm (now " +
                         number("%g", options.clip_norm) + ", 0 = none)");
        }
        report.stop_reason = "diverged";
        break;
      }
      record.seconds = seconds_since(epoch_start);
      report.epochs.push_back(record);
      const bool better =
          report.best_epoch < 0 ||
          record.validation_score >
              report.epochs[static_cast<std::size_t>(report.best_epoch)].validation_score;
      if (better) {
        report.best_epoch = epoch;
        best = parameters.flat();
      }
      trainer.finish_epoch(better);
      trainer.set_message("loss " + number("%.4g", record.training_loss) + ", validation " +
                          number("%.4g", record.validation_score));
      trainer.report_now();
      if (epoch - report.best_epoch >= options.patience) {
        report.stop_reason = "early_stopping";
        break;
      }
    }
  } catch (const Interrupted&) {
    if (best.empty()) {
      restore();
      throw;
    }
    report.stop_reason = "interrupted";
  } catch (...) {
    restore();
    throw;
  }
  parameters.flat() = best;
  report.seconds = seconds_since(start);
  return report;
}

}  // namespace ecseq::nn
