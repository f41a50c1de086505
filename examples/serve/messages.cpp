#include "messages.hpp"

#include <charconv>
#include <cmath>
#include <initializer_list>
#include <limits>

namespace service {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxItems = 10000;   // of a list of messages
constexpr std::size_t kMaxEvents = 10000;  // of a sequence
constexpr std::size_t kMaxMembers = 1000;  // of a set of entities
constexpr std::size_t kMaxIdBytes = 256;
constexpr Index kMaxTop = 100;
constexpr double kMaxTime = 1e11;  // in the year 5138: milliseconds lie beyond it

const char* kind_of(const json& value) {
  switch (value.type()) {
    case json::value_t::null:
      return "null";
    case json::value_t::boolean:
      return "a truth value";
    case json::value_t::string:
      return "a text";
    case json::value_t::array:
      return "a list";
    case json::value_t::object:
      return "an object";
    default:
      return "a number";
  }
}

[[noreturn]] void refuse(const std::string& field, const std::string& expected, const json& got) {
  throw BadMessage(field, "expected " + expected + ", got " + kind_of(got));
}

std::string element(const std::string& field, std::size_t i) {
  return field + "[" + std::to_string(i) + "]";
}

template <class Names>
std::string listed(const Names& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

/// `message` is an object with no fields but these.
void require_fields(const json& message, const std::string& what,
                    std::initializer_list<std::string_view> known) {
  if (!message.is_object()) refuse(what, "an object", message);
  for (const auto& [name, value] : message.items()) {
    bool found = false;
    for (const std::string_view field : known) found |= name == field;
    if (!found) throw BadMessage(name, "unknown field; " + what + " has " + listed(known));
  }
}

const json* find(const json& message, const char* field) {
  const auto found = message.find(field);
  return found == message.end() ? nullptr : &*found;
}

const json& get(const json& message, const char* field) {
  const json* const value = find(message, field);
  if (!value) throw BadMessage(field, "missing");
  return *value;
}

double number(const json& value, const std::string& field) {
  if (!value.is_number()) refuse(field, "a number", value);
  return value.get<double>();
}

float feature(const json& value, const std::string& field) {
  const double x = number(value, field);
  if (std::abs(x) > std::numeric_limits<float>::max()) {
    throw BadMessage(field, "too large for a 32-bit float");
  }
  return static_cast<float>(x);
}

double seconds(const json& value, const std::string& field) {
  const double time = number(value, field);
  if (std::abs(time) > kMaxTime) {
    throw BadMessage(field, "expected seconds since 1970, got " + value.dump());
  }
  return time;
}

/// An id as text: an integer stands for its decimal digits.
std::string id_text(const json& value, const std::string& field) {
  std::string text;
  if (value.is_number_integer()) {
    text = value.dump();
  } else if (value.is_string()) {
    text = value.get<std::string>();
  } else {
    refuse(field, "a text or an integer", value);
  }
  if (text.empty()) throw BadMessage(field, "an empty text");
  if (text.size() > kMaxIdBytes) {
    throw BadMessage(field, "longer than " + std::to_string(kMaxIdBytes) + " bytes");
  }
  return text;
}

/// The id of an event whose client gave none.
std::string id_of(const std::string& user, double time) {
  char digits[32];  // the shortest text of a double takes 24
  const auto end = std::to_chars(digits, digits + sizeof digits, time);
  return user + "@" + std::string(digits, end.ptr);
}

float category(const json& value, const std::string& field,
               const std::map<std::string, float>& known) {
  if (!value.is_string()) refuse(field, "a text", value);
  const auto found = known.find(value.get_ref<const std::string&>());
  return found == known.end() ? -1.0f : found->second;
}

float feature_of(const json& value, const std::string& field, Index column, const Schema& schema) {
  if (!schema.categories.empty()) {
    const auto known = schema.categories.find(schema.features[static_cast<std::size_t>(column)]);
    if (known != schema.categories.end()) return category(value, field, known->second);
  }
  return feature(value, field);
}

/// Appends an event's features, given in order or by name.
void append_values(const json& values, const std::string& field, const Schema& schema,
                   std::vector<float>& out) {
  const auto n = static_cast<std::size_t>(schema.n_features);
  if (values.is_array()) {
    if (values.size() != n) {
      throw BadMessage(field, "expected " + std::to_string(n) + " numbers, got " +
                                  std::to_string(values.size()));
    }
    for (std::size_t k = 0; k < n; ++k) {
      out.push_back(feature_of(values[k], element(field, k), static_cast<Index>(k), schema));
    }
    return;
  }
  if (!values.is_object()) refuse(field, "a list or an object", values);
  if (schema.features.empty()) {
    throw BadMessage(field, "this model does not know its features' names; give a list of " +
                                std::to_string(n) + " numbers");
  }
  for (std::size_t k = 0; k < n; ++k) {
    const std::string& name = schema.features[k];
    const auto value = values.find(name);
    if (value == values.end()) throw BadMessage(field + "." + name, "missing");
    out.push_back(feature_of(*value, field + "." + name, static_cast<Index>(k), schema));
  }
  if (values.size() == n) return;
  for (const auto& [name, value] : values.items()) {
    bool known = false;
    for (const auto& feature_name : schema.features) known |= name == feature_name;
    if (!known) {
      throw BadMessage(field + "." + name, "unknown; the features are " + listed(schema.features));
    }
  }
}

std::vector<EntityKey> keys_of(const json& value, const std::string& field, bool is_set) {
  if (value.is_null()) return {};
  if (!is_set) return {ecseq::relation::entity_key(id_text(value, field))};
  if (!value.is_array()) refuse(field, "a list of ids", value);
  if (value.size() > kMaxMembers) {
    throw BadMessage(field, "more than " + std::to_string(kMaxMembers) + " ids");
  }
  std::vector<EntityKey> keys;
  for (std::size_t i = 0; i < value.size(); ++i) {
    keys.push_back(ecseq::relation::entity_key(id_text(value[i], element(field, i))));
  }
  return keys;
}

EntityIds read_entities(const json& message, const Schema& schema) {
  EntityIds ids(schema.entities.size());
  const json* const entities = find(message, "entities");
  if (!entities) return ids;
  if (!entities->is_object()) refuse("entities", "an object", *entities);
  for (const auto& [name, value] : entities->items()) {
    std::size_t relation = 0;
    while (relation < ids.size() && schema.entities[relation] != name) ++relation;
    const std::string field = "entities." + name;
    if (relation == ids.size()) {
      throw BadMessage(field, ids.empty() ? "this model has no entities"
                                          : "unknown; the entities are " + listed(schema.entities));
    }
    ids[relation] = keys_of(value, field, schema.entity_is_set[relation]);
  }
  return ids;
}

EventMessage event_of(const json& message, const Schema& schema) {
  EventMessage event;
  const std::string user = id_text(get(message, "user"), "user");
  event.user = ecseq::relation::entity_key(user);
  event.time = seconds(get(message, "time"), "time");
  event.values.reserve(static_cast<std::size_t>(schema.n_features));
  append_values(get(message, "values"), "values", schema, event.values);
  event.entities = read_entities(message, schema);
  const json* const id = find(message, "event_id");
  event.event_id = id ? id_text(*id, "event_id") : id_of(user, event.time);
  return event;
}

EventMessage read_event(const json& message, const Schema& schema) {
  require_fields(message, "an event", {"user", "time", "values", "entities", "event_id"});
  return event_of(message, schema);
}

LabelMessage read_label(const json& message, const Schema& schema) {
  require_fields(message, "a label", {"event_id", "user", "time", "label"});
  LabelMessage label;
  if (const json* const id = find(message, "event_id")) {
    if (message.contains("user") || message.contains("time")) {
      throw BadMessage("event_id", "expected either this or user and time");
    }
    label.event_id = id_text(*id, "event_id");
  } else {
    label.event_id =
        id_of(id_text(get(message, "user"), "user"), seconds(get(message, "time"), "time"));
  }
  label.label = number(get(message, "label"), "label");
  if (schema.task != ecseq::Task::kRegression &&
      (label.label < 0 || label.label >= schema.n_classes ||
       label.label != std::floor(label.label))) {
    throw BadMessage("label", "expected a class from 0 to " + std::to_string(schema.n_classes - 1));
  }
  return label;
}

ScoreMessage score_of(const json& message, const Schema& schema) {
  ScoreMessage request;
  const json& events = get(message, "events");
  if (!events.is_array()) refuse("events", "a list of events", events);
  const std::size_t most = schema.embeddings ? 1 : kMaxEvents;
  if (events.empty() || events.size() > most) {
    throw BadMessage("events", "expected 1 to " + std::to_string(most) + ", got " +
                                   std::to_string(events.size()));
  }
  request.length = static_cast<Index>(events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    append_values(events[i], element("events", i), schema, request.events);
  }
  if (const json* const times = find(message, "times")) {
    if (!times->is_array()) refuse("times", "a list of numbers", *times);
    if (times->size() != events.size()) {
      throw BadMessage("times", "expected one for each of " + std::to_string(events.size()) +
                                    " events, got " + std::to_string(times->size()));
    }
    for (std::size_t i = 0; i < times->size(); ++i) {
      request.times.push_back(seconds((*times)[i], element("times", i)));
      if (i > 0 && request.times[i] < request.times[i - 1]) {
        throw BadMessage(element("times", i), "earlier than the event before");
      }
    }
  } else if (schema.timed_events) {
    throw BadMessage("times", "missing; this model reads when each event was");
  }
  if (const json* const time = find(message, "time")) {
    request.time = seconds(*time, "time");
  } else if (!request.times.empty()) {
    request.time = request.times.back();
  } else if (schema.timed_entities) {
    throw BadMessage("time", "missing; this model asks what entities had done by then");
  }
  request.entities = read_entities(message, schema);
  return request;
}

template <class Message, class Read>
Items<Message> read_items(std::string_view body, Read&& read) {
  const json parsed = parse_json(body);
  Items<Message> result;
  result.is_list = parsed.is_array();
  if (!result.is_list) {
    result.items.emplace_back(std::in_place_type<Message>, read(parsed));
    return result;
  }
  if (parsed.size() > kMaxItems) {
    throw BadMessage("body", "more than " + std::to_string(kMaxItems) + " items");
  }
  result.items.reserve(parsed.size());
  for (const json& item : parsed) {
    try {
      result.items.emplace_back(std::in_place_type<Message>, read(item));
    } catch (const BadMessage& error) {
      result.items.emplace_back(std::in_place_type<std::string>, error.what());
    }
  }
  return result;
}

}  // namespace

Items<EventMessage> read_events(std::string_view body, const Schema& schema) {
  return read_items<EventMessage>(body, [&](const json& item) { return read_event(item, schema); });
}

Items<LabelMessage> read_labels(std::string_view body, const Schema& schema) {
  return read_items<LabelMessage>(body, [&](const json& item) { return read_label(item, schema); });
}

ScoreMessage read_score(std::string_view body, const Schema& schema) {
  const json message = parse_json(body);
  require_fields(message, "a request", {"events", "times", "time", "entities"});
  return score_of(message, schema);
}

ExplainMessage read_explain(std::string_view body, const Schema& schema) {
  const json message = parse_json(body);
  ExplainMessage result;
  if (message.is_object() && message.contains("events")) {
    require_fields(message, "a request", {"events", "times", "time", "entities", "top"});
    result.what = score_of(message, schema);
  } else {
    require_fields(message, "an event", {"user", "time", "values", "entities", "event_id", "top"});
    result.what = event_of(message, schema);
  }
  if (const json* const top = find(message, "top")) {
    const double wanted = number(*top, "top");
    if (wanted < 1 || wanted > kMaxTop || wanted != std::floor(wanted)) {
      throw BadMessage("top", "expected a whole number from 1 to " + std::to_string(kMaxTop));
    }
    result.top = static_cast<Index>(wanted);
  }
  return result;
}

}  // namespace service
