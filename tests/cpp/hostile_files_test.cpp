// Files and blocks that somebody made to do harm. Their checksums are right, so that the checks
// behind those are reached; whatever is in them, they are refused with an ecseq::Error, or they are
// models that score, and they take no more memory than a small file may. What fuzzers try at
// random (tests/fuzz) is tried here one by one.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/io/safetensors.hpp"
#include "ecseq/pipeline/forecaster.hpp"
#include "edit_tensor.hpp"
#include "repaired_file.hpp"
#include "score_and_stream.hpp"

namespace ecseq {
namespace {

using nlohmann::json;

constexpr const char* kNames[] = {"sage_mean", "gat",  "gcn", "attention",     "entities",
                                  "untimed",   "lstm", "gru", "bidirectional", "transformer"};

/// Until it goes, a request for much more memory than is in use fails; files of a few kilobytes
/// have no need of it. Not under sanitizers, whose own memory it would be.
class MemoryLimit {
 public:
  MemoryLimit() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    long pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    getrlimit(RLIMIT_AS, &before_);
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(pages) * 4096 + (rlim_t{512} << 20);
    if (pages > 0) setrlimit(RLIMIT_AS, &limit);
#else
    getrlimit(RLIMIT_AS, &before_);
#endif
  }
  ~MemoryLimit() { setrlimit(RLIMIT_AS, &before_); }

 private:
  rlimit before_{};
};

std::string path_of(const std::string& name) {
  const auto tests = std::filesystem::path(__FILE__).parent_path().parent_path();
  return (tests / "fuzz/models" / (name + ".ecseq")).string();
}

io::TensorFile read(const std::string& name) { return io::read_file(path_of(name)); }
json config_of(const io::TensorFile& file) { return json::parse(file.metadata.at("config")); }

/// Why a file is refused; empty where it is a model, which has then been used.
std::string refusal(const std::string& bytes) {
  const MemoryLimit limit;
  try {
    serving::score_and_stream(serving::Scorer(pipeline::Model::from_bytes(bytes, "the file")));
    return {};
  } catch (const Error& error) {
    const std::string what = error.what();
    EXPECT_EQ(what.find("alloc"), what.npos) << what;  // it was the limit that stopped it
    return what.empty() ? "no message" : what;
  }
}
std::string refusal(const io::TensorFile& file) { return refusal(io::to_bytes(file)); }

std::string forecaster_refusal(const io::TensorFile& file) {
  const MemoryLimit limit;
  try {
    pipeline::Forecaster::from_bytes(io::to_bytes(file), "the file");
    return {};
  } catch (const Error& error) {
    const std::string what = error.what();
    EXPECT_EQ(what.find("alloc"), what.npos) << what;
    return what;
  }
}

TEST(HostileFile, TheModelsAreGoodAsTheyAre) {
  for (const char* name : kNames) EXPECT_EQ(refusal(read(name)), "") << name;
  EXPECT_EQ(forecaster_refusal(read("forecaster")), "");
}

TEST(HostileFile, RepairingGivesAGoodFileItsOwnBytes) {
  for (const char* name : kNames) {
    const std::string bytes = io::to_bytes(read(name));
    std::string altered = bytes;
    altered.replace(altered.find("\"checksum\":\"") + 12, 16, "0123456789abcdef");
    EXPECT_NE(refusal(altered), "");
    EXPECT_EQ(testing::repaired(altered), bytes);
  }
}

TEST(HostileFile, EveryCutAndEveryAdditionIsRefused) {
  for (const char* name : kNames) {
    const std::string bytes = io::to_bytes(read(name));
    for (std::size_t size = 0; size < bytes.size(); size += 97) {
      EXPECT_NE(refusal(bytes.substr(0, size)), "") << name << ", " << size;
      EXPECT_NE(refusal(testing::repaired(bytes.substr(0, size))), "") << name << ", " << size;
    }
    EXPECT_NE(refusal(bytes + '\0'), "");
    EXPECT_NE(refusal(testing::repaired(bytes + std::string(100, 'x'))), "");
  }
}

TEST(HostileFile, AlteredBitsAreRefusedOrAnotherModel) {
  Rng rng(1);
  for (const char* name : kNames) {
    const std::string bytes = io::to_bytes(read(name));
    for (int trial = 0; trial < 60; ++trial) {
      std::string altered = bytes;
      altered[static_cast<std::size_t>(rng.below(static_cast<Index>(bytes.size())))] ^=
          static_cast<char>(1 << rng.below(8));
      EXPECT_NE(refusal(altered), "") << name;
      refusal(testing::repaired(altered));
    }
  }
}

TEST(HostileFile, DeepNestingIsRefusedWithoutRecursion) {
  const std::string deep(100'000, '[');
  const std::string closed = deep + std::string(100'000, ']');
  for (const std::string& text : {deep, closed, "{\"task\": " + closed + "}"}) {
    io::TensorFile file = read("sage_mean");
    file.metadata["config"] = text;
    EXPECT_NE(refusal(file), "");
    file = read("forecaster");
    file.metadata["config"] = text;
    EXPECT_NE(forecaster_refusal(file), "");
  }
  io::TensorFile file = read("sage_mean");
  const json good = config_of(file);
  for (const char* key : {"hidden_size", "head", "gnn", "activation"}) {
    json config = good;
    config["layer"][key] = "@";
    std::string text = config.dump();
    text.replace(text.find("\"@\""), 3, closed);
    file.metadata["config"] = text;
    EXPECT_NE(refusal(file), "") << key;
  }
  file = read("sage_mean");
  file.metadata["user"] = "{\"calibration\": " + closed + "}";
  EXPECT_NE(refusal(file), "");
}

/// The places of all values of a configuration.
void collect(const json& node, const json::json_pointer& at, std::vector<json::json_pointer>& out) {
  if (!at.empty()) out.push_back(at);
  if (!node.is_structured()) return;
  for (const auto& [key, child] : node.items()) {
    collect(child, node.is_array() ? at / static_cast<std::size_t>(std::stoul(key)) : at / key,
            out);
  }
}

const std::vector<json> kOddValues = {nullptr,
                                      true,
                                      "x",
                                      -1,
                                      0,
                                      3,
                                      std::numeric_limits<int>::max(),
                                      std::numeric_limits<std::uint64_t>::max(),
                                      std::numeric_limits<std::int64_t>::min(),
                                      0.5,
                                      1e300,
                                      json::array({1, 1e300, "x", nullptr})};

/// Opens a model with each value of its configuration, one at a time, replaced by each odd one.
template <class Open>
void alter_every_value(const std::string& name, const Open& open) {
  io::TensorFile file = read(name);
  const json config = config_of(file);
  std::vector<json::json_pointer> places;
  collect(config, json::json_pointer(), places);
  for (const auto& place : places) {
    for (const json& value : kOddValues) {
      json altered = config;
      altered[place] = value;
      file.metadata["config"] = altered.dump();
      SCOPED_TRACE(name + place.to_string() + " = " + value.dump());
      open(file);
    }
  }
}

TEST(HostileFile, EveryValueOfAConfigurationMayBeAnything) {
  for (const char* name : {"gat", "entities", "gru", "transformer"}) {
    alter_every_value(name, [](const io::TensorFile& file) { refusal(file); });
  }
}

TEST(HostileFile, EveryValueOfAForecastersConfigurationMayBeAnything) {
  alter_every_value("forecaster", forecaster_refusal);
}

struct Lie {
  const char* model;
  const char* place;
  json value;
};

TEST(HostileFile, SizesThatTensorsDoNotHaveAreRefused) {
  const Lie lies[] = {
      {"lstm", "/encoder/hidden_size", 20'000},
      {"lstm", "/encoder/hidden_size", -4},
      {"lstm", "/encoder/hidden_size", 4.5},
      {"lstm", "/encoder/n_layers", (std::int64_t{1} << 32) + 1},
      {"lstm", "/input_features", 3},
      {"lstm", "/n_entities", 1'000'000'000},
      {"lstm", "/n_entities", -1},
      {"gru", "/encoder/categorical/0/dimension", std::int64_t{1} << 31},
      {"gru", "/encoder/categorical/0/column", std::int64_t{1} << 31},
      {"gru", "/encoder/categorical/0/column", -1},
      {"transformer", "/encoder/max_length", std::int64_t{1} << 31},
      {"transformer", "/encoder/feed_forward_size", std::int64_t{1} << 31},
      {"transformer", "/encoder/n_heads", 3},
      {"gat", "/layer/hidden_size", 1 << 20},
      {"gat", "/layer/head", json::array({1 << 20, 1 << 20})},
      {"gat", "/layer/heads", 1 << 20},
      {"gat", "/n_classes", 0},
      {"gat", "/n_classes", -3},
      {"gat", "/n_classes", 1 << 30},
      {"gat", "/similarity/edges_among", false},
      {"gcn", "/layer/residual", true},
      {"sage_mean", "/blocks/0/size", 2},
      {"sage_mean", "/blocks/0/size", -1},
      {"sage_mean", "/blocks/1/begin", std::int64_t{1} << 62},
      {"sage_mean", "/input_features", 4},
      {"sage_mean", "/task", 1},
      {"sage_mean", "/task", 1e300},
      {"sage_mean", "/target_std", 0},
      {"entities", "/task", 2},
      {"attention", "/n_entities", 0},
  };
  for (const Lie& lie : lies) {
    io::TensorFile file = read(lie.model);
    json config = config_of(file);
    config[json::json_pointer(lie.place)] = lie.value;
    file.metadata["config"] = config.dump();
    EXPECT_NE(refusal(file), "") << lie.model << lie.place << " = " << lie.value;
  }
  // Two blocks whose sum is the width that the layer has.
  io::TensorFile file = read("entities");
  json config = config_of(file);
  const auto size = config["blocks"][1]["size"].get<int>();
  config["blocks"][1]["size"] = size - 1;
  config["blocks"][2]["begin"] = config["blocks"][2]["begin"].get<int>() - 1;
  config["blocks"][2]["size"] = config["blocks"][2]["size"].get<int>() + 1;
  file.metadata["config"] = config.dump();
  EXPECT_NE(refusal(file), "");
}

TEST(HostileFile, OptionsThatNoTensorBearsOutTakeNoMemory) {
  io::TensorFile file = read("transformer");
  json config = config_of(file);
  config["encoder"]["positions"] = "sinusoidal";
  config["encoder"]["max_length"] = std::numeric_limits<int>::max();
  file.metadata["config"] = config.dump();
  file.floats.erase("encoder.transformer.positions");
  refusal(file);
}

TEST(HostileFile, FormatVersionsAreNumbers) {
  for (const char* name : {"lstm", "forecaster"}) {
    io::TensorFile file = read(name);
    const auto refused = [&] {
      return std::string(name) == "lstm" ? refusal(file) : forecaster_refusal(file);
    };
    for (const char* text : {"", "x", "1x", " 1", "-1", "0", "99999999999999999999"}) {
      file.metadata["format_version"] = text;
      EXPECT_EQ(refused(), "the file: its format version is not a number") << text;
    }
    file.metadata["format_version"] = "77";
    EXPECT_NE(refused().find("newer"), std::string::npos);
    if (file.metadata["format"] != "ecseq-model") continue;  // which had a version before
    file.metadata["format_version"] = "1";
    EXPECT_NE(refused().find("older"), std::string::npos);
  }
}

TEST(HostileFile, NumbersThatAreNotFiniteAreRefused) {
  const auto odd = {std::numeric_limits<float>::quiet_NaN(),
                    std::numeric_limits<float>::infinity()};
  for (const char* name : kNames) {
    const io::TensorFile good = read(name);
    for (const auto& [tensor, matrix] : good.floats) {
      if (matrix.size() == 0) continue;
      for (const float value : odd) {
        io::TensorFile file = good;
        testing::edit(file.floats[tensor],
                      [&](auto& numbers) { numbers.data()[numbers.size() / 2] = value; });
        EXPECT_NE(refusal(file), "") << name << ", " << tensor;
      }
    }
    for (const auto& [tensor, values] : good.doubles) {
      // Described to people, and never computed with when scoring.
      const bool told_only = tensor == "similarity.spread" || tensor == "similarity.radius";
      if (values.empty() || told_only) continue;
      io::TensorFile file = good;
      file.doubles[tensor][values.size() / 2] = std::numeric_limits<double>::quiet_NaN();
      EXPECT_NE(refusal(file), "") << name << ", " << tensor;
    }
  }
}

TEST(HostileFile, EveryIntegerMayBeAnything) {
  for (const char* name : kNames) {
    const io::TensorFile good = read(name);
    for (const auto& [tensor, values] : good.integers) {
      for (std::size_t i = 0; i < std::min<std::size_t>(values.size(), 2); ++i) {
        for (const std::int64_t value :
             {std::int64_t{-1}, std::int64_t{7}, std::int64_t{1} << 31,
              std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
          io::TensorFile file = good;
          file.integers[tensor][i] = value;
          SCOPED_TRACE(std::string(name) + ", " + tensor + " = " + std::to_string(value));
          refusal(file);
        }
      }
    }
  }
}

TEST(HostileFile, EdgesToNowhereAreRefused) {
  for (const std::int64_t source : {std::int64_t{-1}, std::int64_t{5}, std::int64_t{1} << 40}) {
    io::TensorFile file = read("gat");
    file.integers.at("verify.sources").front() = source;
    EXPECT_NE(refusal(file), "");
  }
  for (const auto& offsets :
       std::vector<std::vector<std::int64_t>>{{}, {0}, {-1, 0}, {0, 1 << 30}}) {
    io::TensorFile file = read("gat");
    file.integers.at("verify.edges") = offsets;
    EXPECT_NE(refusal(file), "");
  }
}

TEST(HostileFile, TensorsOfAnotherShapeOrMissingAreRefused) {
  for (const char* name : kNames) {
    const io::TensorFile good = read(name);
    for (const auto& [tensor, matrix] : good.floats) {
      SCOPED_TRACE(std::string(name) + ", " + tensor);
      io::TensorFile file = good;
      // An empty tensor takes no bytes of the file, however wide it says it is.
      for (const Index dimension : {Index{1} << 12, Index{1} << 36}) {
        for (const bool wide : {true, false}) {
          file.floats[tensor] = Matrix<float>(wide ? 0 : dimension, wide ? dimension : 0);
          const std::string why = refusal(file);
          EXPECT_TRUE(!why.empty() || (matrix.size() == 0 && dimension == Index{1} << 12));
        }
      }
      file.floats.erase(tensor);
      EXPECT_NE(refusal(file), "");
      if (matrix.size() == 0) continue;
      file.floats[tensor] = Matrix<float>::Zero(matrix.rows() + 1, matrix.cols());
      EXPECT_NE(refusal(file), "");
      file.floats[tensor] = Matrix<float>::Zero(matrix.rows(), matrix.cols() + 1);
      EXPECT_NE(refusal(file), "");
    }
    const auto lengthen_and_erase = [&](auto io::TensorFile::*tensors) {
      for (const auto& [tensor, values] : good.*tensors) {
        SCOPED_TRACE(std::string(name) + ", " + tensor);
        io::TensorFile file = good;
        (file.*tensors)[tensor].push_back(1);
        refusal(file);
        (file.*tensors).erase(tensor);
        refusal(file);
      }
    };
    lengthen_and_erase(&io::TensorFile::integers);
    lengthen_and_erase(&io::TensorFile::doubles);
  }
}

TEST(HostileFile, CalibrationsThatDoNotFitAreRefused) {
  io::TensorFile file = read("sage_mean");
  for (const char* text :
       {R"({"calibration": null})", R"({"calibration": {"curves": []}})",
        R"({"calibration": {"curves": [{"slope": -1, "intercept": 0}]}})",
        R"({"calibration": {"curves": [{"slope": 1, "intercept": "x"}]}})",
        R"({"calibration": {"curves": [{"logits": [1, 1], "shares": [0.2, 0.9]}]}})",
        R"({"calibration": {"curves": [{"logits": [0, 1], "shares": [0.9, 0.2]}]}})",
        R"({"calibration": {"curves": [{"logits": [], "shares": []}]}})",
        R"({"calibration": {"curves": [{"logits": [0], "shares": [0.5]}, null]}})"}) {
    file.metadata["user"] = text;
    EXPECT_NE(refusal(file), "") << text;
  }
}

TEST(HostileBlock, WhateverItHoldsItIsReadOrRefused) {
  for (const char* name : {"lstm", "gru", "bidirectional", "transformer"}) {
    const serving::Scorer scorer = serving::Scorer::load(path_of(name));
    const std::vector<float> values(static_cast<std::size_t>(scorer.n_features()), 1.0F);
    serving::Workspace workspace;
    for (const int filling : {0x00, 0x7f, 0x80, 0xff}) {
      for (const std::uint64_t events : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{64},
                                         std::numeric_limits<std::uint64_t>::max()}) {
        std::vector<std::byte> block(scorer.state_size(), static_cast<std::byte>(filling));
        serving::StateHead head;
        head.encoder = scorer.encoder_id();
        head.events = events;
        std::memcpy(block.data(), &head, sizeof head);
        const serving::Event event{values, 1.7e9, {}};
        const serving::Score score = scorer.update(block, event, workspace);
        EXPECT_EQ(score.values.size(), 1U);
        for (const std::size_t size : {std::size_t{0}, std::size_t{47}, block.size() - 1}) {
          const auto cut = std::span(block).first(size);
          EXPECT_FALSE(scorer.accepts(cut));
          EXPECT_THROW(scorer.update(cut, event, workspace), InvalidArgument);
          EXPECT_THROW(serving::State::from_bytes(cut), FileError);
        }
      }
    }
  }
}

}  // namespace
}  // namespace ecseq
