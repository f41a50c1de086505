#include "ecseq/io/safetensors.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "ecseq/core/error.hpp"
#include "ecseq/io/checksum.hpp"
#include "ecseq/io/input_file.hpp"
#include "ecseq/io/replacing_file.hpp"

namespace ecseq::io {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxHeader = 100'000'000;  // the limit of the format's own reader
constexpr std::uint64_t kMaxDimension = std::uint64_t{1} << 40;
/// Of a tensor without numbers, whose other dimension no bytes of the file bear out.
constexpr std::uint64_t kMaxEmptyDimension = std::uint64_t{1} << 24;
constexpr std::size_t kMaxRank = 8;
const char* const kMetadataKey = "__metadata__";
const char* const kChecksumKey = "checksum";

/// What the header says about one tensor, and where its bytes are (or go).
struct Entry {
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::vector<std::uint64_t> offsets;  // begin and end within the data
  const char* data = nullptr;
};
using Entries = std::map<std::string, Entry>;

std::string checksum_text(const std::map<std::string, std::string>& metadata,
                          const Entries& entries) {
  Checksum sum;
  sum.add_word(metadata.size());
  for (const auto& [key, value] : metadata) {
    sum.add(key);
    sum.add(value);
  }
  sum.add_word(entries.size());
  for (const auto& [name, entry] : entries) {
    sum.add(name);
    sum.add(entry.dtype);
    sum.add(entry.shape.data(), entry.shape.size() * sizeof(std::uint64_t));
    sum.add(entry.data, entry.offsets[1] - entry.offsets[0]);
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(sum.value()));
  return text;
}

/// Reads the header as a stream of JSON events and accepts the format's shape only,
///   {name: {"dtype": text, "shape": [n...], "data_offsets": [n, n]}...,
///    "__metadata__": {key: text...}},
/// so that nesting, duplicates and sizes are bounded before anything is stored.
class HeaderReader : public nlohmann::json_sax<json> {
 public:
  Entries entries;
  std::map<std::string, std::string> metadata;
  std::string problem;

  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("a boolean"); }
  bool number_integer(number_integer_t value) override {
    return refuse("the negative number " + std::to_string(value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return refuse("the number " + text.substr(0, 40));
  }
  bool binary(binary_t&) override { return refuse("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShape) {
      if (entry_->shape.size() == kMaxRank) return fail("'shape' has more than 8 dimensions");
      entry_->shape.push_back(value);
      return true;
    }
    if (place_ == Place::kOffsets) {
      if (entry_->offsets.size() == 2) return fail("'data_offsets' has more than 2 numbers");
      entry_->offsets.push_back(value);
      return true;
    }
    return refuse("a number");
  }
  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      metadata[key_] = value;
      return true;
    }
    if (place_ == Place::kTensor && key_ == "dtype") {
      entry_->dtype = value;
      return true;
    }
    return refuse("a text");
  }
  bool start_object(std::size_t) override {
    if (place_ == Place::kOutside) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop) {
      if (key_ == kMetadataKey) {
        place_ = Place::kMetadata;
      } else {
        place_ = Place::kTensor;
        fields_.clear();
        entry_ = &entries[key_];
        name_ = key_;
      }
    } else {
      return refuse("an object");
    }
    return true;
  }
  bool key(string_t& value) override {
    if (place_ == Place::kTop && !names_.insert(value).second) return duplicate(value);
    if (place_ == Place::kMetadata && metadata.count(value) > 0) return duplicate(value);
    if (place_ == Place::kTensor) {
      if (value != "dtype" && value != "shape" && value != "data_offsets") {
        return fail("unknown key '" + shorten(value) + "'");
      }
      if (!fields_.insert(value).second) return duplicate(value);
    }
    key_ = value;
    return true;
  }
  bool end_object() override {
    if (place_ == Place::kTensor) {
      if (fields_.size() != 3) return fail("one of 'dtype', 'shape', 'data_offsets' is missing");
      if (entry_->offsets.size() != 2) return fail("'data_offsets' must hold 2 numbers");
    }
    place_ = place_ == Place::kTop ? Place::kOutside : Place::kTop;
    return true;
  }
  bool start_array(std::size_t) override {
    if (place_ == Place::kTensor && key_ == "shape") {
      place_ = Place::kShape;
    } else if (place_ == Place::kTensor && key_ == "data_offsets") {
      place_ = Place::kOffsets;
    } else {
      return refuse("an array");
    }
    return true;
  }
  bool end_array() override {
    place_ = Place::kTensor;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    problem = "the header is not JSON at its byte " + std::to_string(position);
    return false;
  }

  static std::string shorten(const std::string& text) {
    return text.size() <= 60 ? text : text.substr(0, 57) + "...";
  }

 private:
  enum class Place { kOutside, kTop, kMetadata, kTensor, kShape, kOffsets };

  bool fail(const std::string& what) {
    switch (place_) {
      case Place::kOutside:
      case Place::kTop:
        problem = "header: " + what;
        break;
      case Place::kMetadata:
        problem = "header, metadata: " + what;
        break;
      default:
        problem = "header, tensor '" + shorten(name_) + "': " + what;
    }
    return false;
  }
  bool refuse(const std::string& what) {
    return fail(what + " is out of place" +
                (place_ == Place::kOutside ? "" : " (at '" + shorten(key_) + "')"));
  }
  bool duplicate(const std::string& name) {
    return fail("the key '" + shorten(name) + "' appears twice");
  }

  Place place_ = Place::kOutside;
  std::string key_;
  std::string name_;
  Entry* entry_ = nullptr;
  std::set<std::string> names_;
  std::set<std::string> fields_;
};

std::size_t item_size(const std::string& dtype) {
  if (dtype == "F32") return 4;
  if (dtype == "F64" || dtype == "I64") return 8;
  return 0;
}

/// A foreign header need not be padded to the size of a number.
bool is_aligned(const float* numbers) {
  return reinterpret_cast<std::uintptr_t>(numbers) % alignof(float) == 0;
}

template <class T>
std::vector<T> read_vector(const Entry& entry) {
  std::vector<T> out(entry.shape[0]);
  if (!out.empty()) std::memcpy(out.data(), entry.data, out.size() * sizeof(T));
  return out;
}

}  // namespace

std::string to_bytes(const TensorFile& file) {
  Entries entries;
  std::vector<const Entry*> order;
  std::uint64_t position = 0;
  const auto place = [&](const std::string& name, const char* dtype,
                         std::vector<std::uint64_t> shape, const void* data, std::size_t bytes) {
    if (name == kMetadataKey) {
      throw InvalidArgument("tensor name '__metadata__' is reserved by the file format");
    }
    const auto [at, fresh] = entries.try_emplace(name);
    if (!fresh) throw InvalidArgument("tensor name '" + name + "' is used twice");
    at->second = {
        dtype, std::move(shape), {position, position + bytes}, static_cast<const char*>(data)};
    order.push_back(&at->second);
    position += bytes;
  };
  for (const auto& [name, values] : file.doubles) {
    place(name, "F64", {values.size()}, values.data(), values.size() * sizeof(double));
  }
  for (const auto& [name, values] : file.integers) {
    place(name, "I64", {values.size()}, values.data(), values.size() * sizeof(std::int64_t));
  }
  for (const auto& [name, values] : file.floats) {
    place(name, "F32",
          {static_cast<std::uint64_t>(values.rows()), static_cast<std::uint64_t>(values.cols())},
          values.data(), static_cast<std::size_t>(values.size()) * sizeof(float));
  }
  if (file.metadata.count(kChecksumKey) > 0) {
    throw InvalidArgument("metadata key 'checksum' is reserved: it is computed on writing");
  }

  json header = json::object();
  header[kMetadataKey] = file.metadata;
  header[kMetadataKey][kChecksumKey] = checksum_text(file.metadata, entries);
  for (const auto& [name, entry] : entries) {
    header[name] = {
        {"dtype", entry.dtype}, {"shape", entry.shape}, {"data_offsets", entry.offsets}};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception&) {
    throw InvalidArgument("a tensor name, metadata key or metadata value is not valid UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > kMaxHeader) {
    throw InvalidArgument("names and metadata take " + std::to_string(text.size()) +
                          " bytes; the file format allows 100000000");
  }

  const std::uint64_t length = text.size();
  std::string out;
  out.reserve(8 + text.size() + position);
  out.append(reinterpret_cast<const char*>(&length), 8);
  out += text;
  for (const Entry* entry : order) {
    const std::size_t bytes = entry->offsets[1] - entry->offsets[0];
    if (bytes > 0) out.append(entry->data, bytes);
  }
  return out;
}

namespace {

/// What is in the file, or the reason to refuse it.
HeaderReader read_header(std::string_view bytes, const std::string& origin) {
  const auto fail = [&](const std::string& what) { throw FileError(origin + ": " + what); };
  if (bytes.size() < 8) {
    fail("a safetensors file has at least 8 bytes, this one " + std::to_string(bytes.size()));
  }
  std::uint64_t length;
  std::memcpy(&length, bytes.data(), 8);
  if (length > kMaxHeader) {
    fail("the header length " + std::to_string(length) +
         " is above the limit of 100000000 bytes: not a safetensors file, or altered");
  }
  if (length > bytes.size() - 8) {
    fail("truncated: the header should take " + std::to_string(length) + " bytes, " +
         std::to_string(bytes.size() - 8) + " are there");
  }
  const std::string_view header = bytes.substr(8, length);
  const std::string_view data = bytes.substr(8 + length);
  const std::size_t last = header.find_last_not_of(' ');
  if (last == std::string_view::npos || header[0] != '{' || header[last] != '}') {
    fail("the header is not a JSON object padded with spaces");
  }

  HeaderReader reader;
  if (!json::sax_parse(header.begin(), header.begin() + static_cast<std::ptrdiff_t>(last) + 1,
                       &reader)) {
    fail(reader.problem);
  }

  std::vector<const Entry*> order;
  for (auto& [name, entry] : reader.entries) {
    const std::string what = "tensor '" + HeaderReader::shorten(name) + "': ";
    const std::size_t size = item_size(entry.dtype);
    if (size == 0) {
      fail(what + "unknown dtype '" + HeaderReader::shorten(entry.dtype) +
           "', expected F32, F64 or I64");
    }
    const std::size_t rank = entry.dtype == "F32" ? 2 : 1;
    if (entry.shape.size() != rank) {
      fail(what + "a tensor of " + entry.dtype + " has " + std::to_string(rank) +
           " dimension(s) here, this one " + std::to_string(entry.shape.size()));
    }
    const std::uint64_t begin = entry.offsets[0];
    const std::uint64_t end = entry.offsets[1];
    if (begin > end || end > data.size()) {
      fail(what + "bytes " + std::to_string(begin) + " to " + std::to_string(end) +
           " are not within the " + std::to_string(data.size()) + " bytes of data");
    }
    std::uint64_t expected = size;
    bool too_large = false;
    for (const std::uint64_t dimension : entry.shape) {
      too_large = too_large || dimension > kMaxDimension ||
                  __builtin_mul_overflow(expected, dimension, &expected);
    }
    if (too_large || expected != end - begin) {
      fail(what + "its shape needs " + (too_large ? "too many" : std::to_string(expected)) +
           " bytes, its offsets hold " + std::to_string(end - begin));
    }
    if (expected == 0 &&
        *std::max_element(entry.shape.begin(), entry.shape.end()) > kMaxEmptyDimension) {
      fail(what + "it is empty, but one of its dimensions is above 16777216");
    }
    entry.data = data.data() + begin;
    order.push_back(&entry);
  }
  std::sort(order.begin(), order.end(),
            [](const Entry* a, const Entry* b) { return a->offsets < b->offsets; });
  std::uint64_t covered = 0;
  for (const Entry* entry : order) {
    if (entry->offsets[0] != covered) {
      fail("the tensors overlap or leave a gap at byte " + std::to_string(covered) +
           " of the data");
    }
    covered = entry->offsets[1];
  }
  if (covered != data.size()) {
    fail(std::to_string(data.size() - covered) + " bytes after the last tensor");
  }

  const auto stored = reader.metadata.find(kChecksumKey);
  if (stored == reader.metadata.end()) {
    fail("metadata has no 'checksum': not written by ecseq, or altered");
  }
  const std::string checksum = stored->second;
  reader.metadata.erase(stored);
  if (checksum != checksum_text(reader.metadata, reader.entries)) {
    fail("the checksum differs: the file was altered after it was written");
  }
  return reader;
}

/// owner: of the bytes; then matrices refer to them. Null: everything is copied.
TensorFile take_tensors(std::string_view bytes, const std::string& origin,
                        const std::shared_ptr<const void>& owner) {
  HeaderReader read = read_header(bytes, origin);
  TensorFile out;
  out.metadata = std::move(read.metadata);
  for (const auto& [name, entry] : read.entries) {
    if (entry.dtype == "F64") {
      out.doubles[name] = read_vector<double>(entry);
    } else if (entry.dtype == "I64") {
      out.integers[name] = read_vector<std::int64_t>(entry);
    } else {
      const auto rows = static_cast<Index>(entry.shape[0]);
      const auto cols = static_cast<Index>(entry.shape[1]);
      const auto* const numbers = reinterpret_cast<const float*>(entry.data);
      if (owner != nullptr && is_aligned(numbers)) {
        out.floats[name] = {std::shared_ptr<const float>(owner, numbers), rows, cols};
      } else {
        Matrix<float> copy(rows, cols);
        if (copy.size() > 0) {
          std::memcpy(copy.data(), entry.data, entry.offsets[1] - entry.offsets[0]);
        }
        out.floats[name] = std::move(copy);
      }
    }
  }
  return out;
}

}  // namespace

TensorFile from_bytes(std::string_view bytes, const std::string& origin) {
  return take_tensors(bytes, origin, nullptr);
}

void write_file(const TensorFile& file, const std::string& path) {
  const std::string bytes = to_bytes(file);
  ReplacingFile out(path);
  out.write(bytes.data(), bytes.size());
  out.commit();
}

TensorFile read_file(const std::string& path, FileAccess access) {
  if (access == FileAccess::kMap) {
    const auto file = std::make_shared<const MappedFile>(path);
    return take_tensors(file->bytes(), path, file);
  }
  InputFile in(path);
  std::string bytes(static_cast<std::size_t>(in.size()), '\0');
  in.read(bytes.data(), bytes.size());
  return from_bytes(bytes, path);
}

}  // namespace ecseq::io
