#include "json_text.hpp"

#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

namespace service {
namespace {

using nlohmann::json;

/// Builds a value from the parser's events, in a tree whose open branches are on a stack.
class Builder : public nlohmann::json_sax<json> {
 public:
  explicit Builder(std::size_t max_depth) : max_depth_(max_depth) {}

  json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { throw BadMessage("body", "binary values are not JSON"); }

  bool start_object(std::size_t) override { return open(json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    const auto [field, is_new] = open_.back()->emplace(name, nullptr);
    if (!is_new) throw BadMessage(name, "named twice");
    field_ = &*field;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // Of this kind there is one: a number that no double holds.
    const bool too_large = dynamic_cast<const json::out_of_range*>(&error) != nullptr;
    throw BadMessage("body", (too_large ? "a number too large" : "not JSON") +
                                 (" at byte " + std::to_string(position)));
  }

 private:
  json* put(json value) {
    if (open_.empty()) return &(root_ = std::move(value));
    if (open_.back()->is_object()) return &(*field_ = std::move(value));
    open_.back()->push_back(std::move(value));
    return &open_.back()->back();
  }

  bool add(json value) {
    put(std::move(value));
    return true;
  }

  bool open(json container) {
    if (open_.size() == max_depth_) {
      throw BadMessage("body", "nested deeper than " + std::to_string(max_depth_));
    }
    open_.push_back(put(std::move(container)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::size_t max_depth_;
  json root_;
  std::vector<json*> open_;  // a container is not moved while it is open: it is its parent's last
  json* field_ = nullptr;    // of the innermost object, where its next value goes
};

template <class Number>
void append_finite(std::string& out, Number value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char digits[32];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

}  // namespace

json parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    throw BadMessage("body", "longer than " + std::to_string(limits.bytes) + " bytes");
  }
  Builder builder(limits.depth);
  json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

void append_number(std::string& out, float value) { append_finite(out, value); }
void append_number(std::string& out, double value) { append_finite(out, value); }

void append_text(std::string& out, std::string_view text) {
  out += json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace service
