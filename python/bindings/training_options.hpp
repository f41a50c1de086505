#pragma once

#include "convert.hpp"
#include "ecseq/nn/training.hpp"

namespace ecseq::bindings {

/// The options of a training that are given by name; the others stay as they are.
inline void read_training(const py::dict& given, nn::TrainingOptions& training) {
  read(given, "optimizer", training.optimizer);
  read(given, "learning_rate", training.learning_rate);
  read(given, "schedule", training.schedule);
  read(given, "momentum", training.momentum);
  read(given, "accumulate", training.accumulate);
  read(given, "bucket_by_length", training.bucket_by_length);
  read(given, "max_epochs", training.max_epochs);
  read(given, "patience", training.patience);
  read(given, "batch_size", training.batch_size);
  read(given, "weight_decay", training.weight_decay);
  read(given, "clip_norm", training.clip_norm);
  read(given, "seed", training.seed);
  read(given, "num_threads", training.num_threads);
}

}  // namespace ecseq::bindings
