#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/targets.hpp"
#include "ecseq/relation/entity_key.hpp"
#include "json_text.hpp"

// What clients say, read from JSON. Nothing here knows of HTTP; every function throws BadMessage
// for whatever text it is given that does not mean what it should.

namespace service {

using ecseq::Index;
using ecseq::relation::EntityKey;

/// What a model wants to be told.
struct Schema {
  Index n_features = 0;
  /// [n_features], or empty where the model file does not say; then events are lists.
  std::vector<std::string> features;
  /// Of features that are texts: the number of each category; others are -1, the unknown one.
  std::map<std::string, std::map<std::string, float>> categories;
  std::vector<std::string> entities;  ///< names of the entity relations, in their order
  std::vector<bool> entity_is_set;    ///< [entities] whether an event may name several
  bool timed_entities = false;        ///< /score has to say as of when
  bool timed_events = false;          ///< /score has to say when each event was
  bool embeddings = false;            ///< no encoder: /score takes one row, there are no users
  ecseq::Task task = ecseq::Task::kBinary;
  int n_classes = 2;  ///< of a classification

  bool operator==(const Schema&) const = default;
};

/// Of each entity relation, the keys that an event names.
using EntityIds = std::vector<std::vector<EntityKey>>;

/// {"user": "c17", "time": 1700000000, "values": [..] or {"amount": 3.2, ..},
///  "entities": {"terminal": "t4"}, "event_id": "optional"}
struct EventMessage {
  std::uint64_t user = 0;     ///< relation::entity_key of the user's id
  double time = 0.0;          ///< seconds since 1970
  std::vector<float> values;  ///< [features]
  EntityIds entities;
  std::string event_id;  ///< the client's; otherwise made of user and time
};

/// {"event_id": ".."} or {"user": .., "time": ..}, and {"label": y}
struct LabelMessage {
  std::string event_id;
  double label = 0.0;  ///< class number, or value
};

/// {"events": [..], "times": [..], "time": .., "entities": {..}}
struct ScoreMessage {
  std::vector<float> events;  ///< [length, features]
  Index length = 0;
  std::vector<double> times;  ///< [length], or empty
  double time = 0.0;          ///< seconds since 1970; the last of `times` where it is not given
  EntityIds entities;
};

/// A history, or an event as it is going to be scored; and {"top": 5}
struct ExplainMessage {
  std::variant<ScoreMessage, EventMessage> what;
  Index top = 5;
};

/// One item of a list: what it says, or what is wrong with it.
template <class Message>
using Item = std::variant<Message, std::string>;

/// A body that is one message (`is_list` false, one item) or a list of them.
template <class Message>
struct Items {
  bool is_list = false;
  std::vector<Item<Message>> items;
};

/// A single message that is wrong throws; in a list it is an item with the reason.
Items<EventMessage> read_events(std::string_view body, const Schema& schema);
Items<LabelMessage> read_labels(std::string_view body, const Schema& schema);
ScoreMessage read_score(std::string_view body, const Schema& schema);
ExplainMessage read_explain(std::string_view body, const Schema& schema);

}  // namespace service
