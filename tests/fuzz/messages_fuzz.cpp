// What a client of the example service sends: it is refused with a BadMessage, or it means
// something. The first byte says which of the four messages it is and of which model.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "messages.hpp"

namespace {

service::Schema schema_of(unsigned choice) {
  service::Schema schema;
  schema.n_features = 2;
  if ((choice & 1) != 0) {
    schema.features = {"amount", "country"};
    schema.categories["country"] = {{"AT", 0.0F}, {"BE", 1.0F}};
  }
  schema.entities = {"card", "product"};
  schema.entity_is_set = {false, true};
  schema.timed_entities = (choice & 2) != 0;
  schema.timed_events = (choice & 4) != 0;
  schema.embeddings = (choice & 8) != 0;
  return schema;
}

/// What was accepted has the shape that scoring relies on.
void require(bool holds) {
  if (!holds) std::abort();
}

void require_scorable(const service::ScoreMessage& message, const service::Schema& schema) {
  require(message.length >= 1 &&
          message.events.size() == static_cast<std::size_t>(message.length * schema.n_features));
  for (const float x : message.events) require(std::isfinite(x));
  require(message.times.empty() ||
          message.times.size() == static_cast<std::size_t>(message.length));
  require(std::isfinite(message.time) && message.entities.size() == schema.entities.size());
  require(message.entities[0].size() <= 1);
}

void require_scorable(const service::EventMessage& event, const service::Schema& schema) {
  require(event.values.size() == static_cast<std::size_t>(schema.n_features));
  require(std::isfinite(event.time) && !event.event_id.empty());
}

void read(unsigned choice, std::string_view body) {
  const service::Schema schema = schema_of(choice >> 2);
  switch (choice % 4) {
    case 0:
      for (const auto& item : service::read_events(body, schema).items) {
        const auto* const event = std::get_if<service::EventMessage>(&item);
        if (event != nullptr) require_scorable(*event, schema);
      }
      break;
    case 1:
      service::read_labels(body, schema);
      break;
    case 2:
      require_scorable(service::read_score(body, schema), schema);
      break;
    default: {
      const service::ExplainMessage message = service::read_explain(body, schema);
      std::visit([&](const auto& what) { require_scorable(what, schema); }, message.what);
      require(message.top >= 1);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    read(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  } catch (const service::BadMessage&) {  // refused in words
  }
  return 0;
}
