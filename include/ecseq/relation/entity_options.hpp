#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ecseq::relation {

struct EntityOptions {
  std::string by;                  ///< name of the id column, e.g. "terminal_id"
  int memory = 24;                 ///< label-known events remembered per entity
  std::vector<double> windows;     ///< seconds; infinity = all history
  std::vector<double> half_lives;  ///< seconds; of exponentially decayed counts and rates
  double label_delay = 0;          ///< seconds between an event and the moment its label is known
  bool timed = true;               ///< false: events have no times, see `leave_one_out`
  double prior_strength = 2.0;     ///< labels that the prior weighs in every smoothed rate
  /// Events carry the base model's outputs, one per label channel. Only if timed.
  bool base_outputs = false;
  /// A row has a set of ids (the products of a session), see entity_set.hpp.
  bool set = false;
  /// What becomes of the remembered labels: "summary", fixed numbers alone; "gru" or "gnn", beside
  /// them what a layer learns of the labels one by one (gnn::MemoryLayer). Only if timed, not of
  /// sets.
  std::string aggregator = "summary";
  /// Entities kept; beyond, the one whose latest event is oldest is forgotten. 0 = all.
  std::int64_t max_entities = 0;
};

}  // namespace ecseq::relation
