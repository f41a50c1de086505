#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ecseq/io/checksum.hpp"

// An altered file made to pass the checks that only notice damage, so that those behind them are
// reached: whoever means harm computes a checksum too.

namespace ecseq::testing {

/// The checksum that io::from_bytes will expect, or nothing where it will not come so far.
inline std::string expected_checksum(const nlohmann::json& header, std::string_view data) {
  io::Checksum sum;
  std::map<std::string, std::string> metadata;
  const auto texts = header.find("__metadata__");
  if (texts == header.end() || !texts->is_object()) return {};
  for (const auto& [key, value] : texts->items()) {
    if (!value.is_string()) return {};
    if (key != "checksum") metadata[key] = value.get<std::string>();
  }
  sum.add_word(metadata.size());
  for (const auto& [key, value] : metadata) {
    sum.add(key);
    sum.add(value);
  }
  sum.add_word(header.size() - 1);
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets") || !entry["dtype"].is_string()) {
      return {};
    }
    std::vector<std::uint64_t> shape, offsets;
    for (const auto& [numbers, to] :
         {std::pair{&entry["shape"], &shape}, std::pair{&entry["data_offsets"], &offsets}}) {
      for (const auto& number : *numbers) {
        if (!number.is_number_unsigned()) return {};
        to->push_back(number.get<std::uint64_t>());
      }
    }
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data.size()) return {};
    sum.add(name);
    sum.add(entry["dtype"].get<std::string>());
    sum.add(shape.data(), shape.size() * sizeof(std::uint64_t));
    sum.add(data.data() + offsets[0], offsets[1] - offsets[0]);
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(sum.value()));
  return text;
}

/// The same bytes with a header length that lies within them and the checksum computed anew.
inline std::string repaired(std::string_view bytes) {
  constexpr std::string_view kKey = "\"checksum\":\"";
  std::string out(bytes);
  if (out.size() < 8) return out;
  std::uint64_t length;
  std::memcpy(&length, out.data(), 8);
  if (length > out.size() - 8) {
    length = out.size() - 8;
    std::memcpy(out.data(), &length, 8);
  }
  const std::string_view text = std::string_view(out).substr(8, length);
  const auto header = nlohmann::json::parse(text, nullptr, false);
  const std::size_t at = text.find(kKey);
  if (!header.is_object() || at == text.npos || at + kKey.size() + 16 > text.size()) return out;
  const std::string sum = expected_checksum(header, std::string_view(out).substr(8 + length));
  out.replace(8 + at + kKey.size(), sum.size(), sum);
  return out;
}

}  // namespace ecseq::testing
