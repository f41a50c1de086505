// Fits ECSeq on a CSV of events and scores the later ones, through the public headers only.
//
//   fit_and_score events.csv [model.ecseq]
//
// The CSV has a header and the columns user,time,label,<feature>,...; one row per event, sorted by
// user and then by time (in days), label 0 or 1 per event. Each event is scored from its user's
// last 20 events up to it; the latest fifth of the events is held out. Without arguments a small
// example file is made up first.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/core/sequences.hpp"
#include "ecseq/encoders/sequence_encoder.hpp"
#include "ecseq/pipeline/metrics.hpp"
#include "ecseq/pipeline/model.hpp"
#include "ecseq/pipeline/split.hpp"

namespace {

struct Events {
  ecseq::Matrix<float> features;      // [events, features]
  std::vector<std::int64_t> offsets;  // of the users' histories
  std::vector<double> times;          // [events], days
  std::vector<float> labels;          // [events]
};

Events read_csv(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw ecseq::Error("cannot open " + path);
  std::string line, cell, user, previous;
  std::getline(file, line);
  const auto n_features = static_cast<ecseq::Index>(std::count(line.begin(), line.end(), ',')) - 2;
  if (n_features < 1) throw ecseq::Error("expected the columns user,time,label,<feature>,...");
  Events events;
  std::vector<float> values;
  while (std::getline(file, line)) {
    std::istringstream row(line);
    std::getline(row, user, ',');
    if (events.times.empty() || user != previous) {
      events.offsets.push_back(static_cast<std::int64_t>(events.times.size()));
    }
    previous = user;
    std::vector<double> numbers;
    while (std::getline(row, cell, ',')) numbers.push_back(std::stod(cell));
    if (static_cast<ecseq::Index>(numbers.size()) != n_features + 2) {
      throw ecseq::Error("row " + std::to_string(events.times.size() + 2) +
                         ": expected another number of columns");
    }
    events.times.push_back(numbers[0]);
    events.labels.push_back(static_cast<float>(numbers[1]));
    for (std::size_t k = 2; k < numbers.size(); ++k) {
      values.push_back(static_cast<float>(numbers[k]));
    }
  }
  events.offsets.push_back(static_cast<std::int64_t>(events.times.size()));
  events.features = Eigen::Map<const ecseq::Matrix<float>>(
      values.data(), static_cast<ecseq::Index>(events.times.size()), n_features);
  return events;
}

/// 300 users whose spending now and then runs wild for a few events: those are labelled.
void write_example(const std::string& path) {
  ecseq::Rng rng(1);
  std::ofstream file(path);
  file << "user,time,label,amount,gap\n";
  for (int user = 0; user < 300; ++user) {
    double time = rng.uniform(0, 5);
    const double level = rng.uniform(2, 4);
    int wild = 0;
    for (int event = 0; event < 40; ++event) {
      if (wild == 0 && rng.uniform() < 0.02) wild = 4;
      const double gap = wild > 0 ? rng.uniform(0.01, 0.3) : rng.uniform(0.3, 4);
      const double amount = level + rng.normal() * 0.7 + (wild > 0 ? 1.2 : 0.0);
      time += gap;
      file << user << ',' << time << ',' << (wild > 0 ? 1 : 0) << ',' << amount << ','
           << std::log(gap) << '\n';
      wild = std::max(0, wild - 1);
    }
  }
}

void print(const char* name, const ecseq::Matrix<float>& logits, const ecseq::Targets& y) {
  const auto found = ecseq::pipeline::metrics(logits, y);
  std::printf("%-14s AUC %.3f   AP %.3f   R@P0.9 %.3f\n", name, found.at("auc"), found.at("ap"),
              found.at("recall_at_p90"));
}

int run(const std::string& csv, const std::string& model_path) {
  const Events events = read_csv(csv);
  const ecseq::Sequences windows = ecseq::Sequences(events.features, events.offsets).windows(20);
  const ecseq::Targets labels{ecseq::Task::kBinary, 2, events.labels};

  // Train on the first 60 % of the time, validate on the next 20 %, test on the rest.
  const auto later = ecseq::pipeline::split_by_time(events.times, 0.2);
  std::vector<double> earlier_times;
  for (const auto row : later.training) {
    earlier_times.push_back(events.times[static_cast<std::size_t>(row)]);
  }
  const auto earlier = ecseq::pipeline::split_by_time(earlier_times, 0.25);
  const auto rows_of = [&](const std::vector<ecseq::Index>& positions) {
    std::vector<ecseq::Index> rows;
    for (const auto p : positions) rows.push_back(later.training[static_cast<std::size_t>(p)]);
    return rows;
  };
  const auto training_rows = rows_of(earlier.training);
  const auto validation_rows = rows_of(earlier.validation);
  const ecseq::Sequences training = windows.subset(training_rows);
  const ecseq::Sequences validation = windows.subset(validation_rows);
  const ecseq::Sequences test = windows.subset(later.validation);
  const ecseq::Targets y_test = labels.subset(later.validation);

  ecseq::encoders::EncoderOptions encoder_options;
  encoder_options.hidden_size = 16;
  auto encoder =
      ecseq::encoders::SequenceEncoder::fit(training, labels.subset(training_rows), validation,
                                            labels.subset(validation_rows), encoder_options);

  ecseq::pipeline::Samples training_samples, validation_samples, test_samples;
  training_samples.sequences = training;
  validation_samples.sequences = validation;
  test_samples.sequences = test;
  ecseq::pipeline::ModelOptions options;
  options.similarity->compressor = "balanced_kmeans";
  options.similarity->n_representatives = 100;
  options.training.batch_size = 0;
  const auto model = ecseq::pipeline::Model::fit(training_samples, labels.subset(training_rows),
                                                 validation_samples, labels.subset(validation_rows),
                                                 options, std::move(encoder));

  print("LSTM alone", model.base(test_samples), y_test);
  print("ECSeq", model.decide(test_samples), y_test);

  // The case with the highest score, and why it has it.
  const ecseq::Matrix<float> scores = model.predict(test_samples);
  ecseq::Index highest = 0;
  scores.col(1).maxCoeff(&highest);
  const ecseq::Sequences flagged = test.subset({highest});
  ecseq::pipeline::Samples one;
  one.sequences = flagged;
  const auto explanation = model.explain(one, 3).front();
  std::printf("\nhighest score %.3f; the cases behind it:\n", scores(highest, 1));
  for (const auto& found : explanation.similar) {
    std::printf("  representative %lld of %.0f sequences, %.0f %% labelled, logit %+.2f\n",
                static_cast<long long>(found.representative), found.mass, 100 * found.label_mix[1],
                found.contribution);
  }

  model.save(model_path);
  const auto loaded = ecseq::pipeline::Model::load(model_path);
  const bool same = loaded.decide(test_samples) == model.decide(test_samples);
  std::printf("\nsaved to %s; loaded again, the scores are %s\n", model_path.c_str(),
              same ? "the same" : "DIFFERENT");
  return same ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string csv = argc > 1 ? argv[1] : "example_events.csv";
    if (argc < 2) write_example(csv);
    return run(csv, argc > 2 ? argv[2] : "model.ecseq");
  } catch (const std::exception& error) {
    std::cerr << "fit_and_score: " << error.what() << '\n';
    return 1;
  }
}
