#include "ecseq/io/safetensors.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "ecseq/core/error.hpp"
#include "ecseq/io/checksum.hpp"
#include "temporary_folder.hpp"

namespace {

using ecseq::FileError;
using ecseq::InvalidArgument;
using ecseq::Matrix;
using ecseq::io::FileAccess;
using ecseq::io::from_bytes;
using ecseq::io::TensorFile;
using ecseq::io::to_bytes;

TensorFile example() {
  TensorFile file;
  file.metadata = {{"format", "1"}, {"note", "a \"quoted\" \n text, \xc3\xa9"}};
  Matrix<float> weights(2, 3);
  weights << 1, -2, 3.5f, 0, 1e-30f, std::numeric_limits<float>::infinity();
  file.floats["weights"] = weights;
  file.floats["bias"] = Matrix<float>::Constant(1, 1, 0.25f);
  file.doubles["times"] = {1.5, -0.0, 1e300};
  file.integers["keys"] = {-1, std::numeric_limits<std::int64_t>::max()};
  return file;
}

/// A file with this header, followed by `data` zero bytes.
std::string with_header(const std::string& header, std::size_t data = 0) {
  const std::uint64_t length = header.size();
  std::string out(reinterpret_cast<const char*>(&length), 8);
  return out + header + std::string(data, '\0');
}

void expect_refused(const std::string& bytes, const std::string& part) {
  try {
    from_bytes(bytes, "some/model.ecseq");
    FAIL() << "accepted, expected: " << part;
  } catch (const FileError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.rfind("some/model.ecseq: ", 0), 0u) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST(Safetensors, RoundTripKeepsEveryBit) {
  const TensorFile file = example();
  const TensorFile back = from_bytes(to_bytes(file), "memory");
  EXPECT_EQ(back.metadata, file.metadata);
  EXPECT_EQ(back.integers, file.integers);
  ASSERT_EQ(back.doubles.size(), 1u);
  EXPECT_EQ(back.doubles.at("times"), file.doubles.at("times"));
  EXPECT_TRUE(std::signbit(back.doubles.at("times")[1]));
  ASSERT_EQ(back.floats.size(), 2u);
  for (const auto& [name, matrix] : file.floats) {
    ASSERT_EQ(back.floats.at(name).rows(), matrix.rows());
    ASSERT_EQ(back.floats.at(name).cols(), matrix.cols());
    EXPECT_EQ(std::memcmp(back.floats.at(name).data(), matrix.data(),
                          static_cast<std::size_t>(matrix.size()) * sizeof(float)),
              0);
  }
  EXPECT_EQ(to_bytes(back), to_bytes(file));
}

TEST(Safetensors, NotANumberIsKeptBitForBit) {
  TensorFile file;
  file.doubles["x"] = {std::nan("7")};
  const TensorFile back = from_bytes(to_bytes(file), "memory");
  EXPECT_EQ(std::memcmp(back.doubles.at("x").data(), file.doubles.at("x").data(), 8), 0);
}

TEST(Safetensors, EmptyTensorsKeepTheirShape) {
  TensorFile file;
  file.floats["no rows"] = Matrix<float>(0, 5);
  file.floats["no columns"] = Matrix<float>(4, 0);
  file.floats["one"] = Matrix<float>::Constant(1, 1, 2.0f);
  file.doubles["none"] = {};
  file.integers["none either"] = {};
  const TensorFile back = from_bytes(to_bytes(file), "memory");
  EXPECT_EQ(back.floats.at("no rows").rows(), 0);
  EXPECT_EQ(back.floats.at("no rows").cols(), 5);
  EXPECT_EQ(back.floats.at("no columns").rows(), 4);
  EXPECT_EQ(back.floats.at("no columns").cols(), 0);
  EXPECT_EQ(back.floats.at("one")(0, 0), 2.0f);
  EXPECT_TRUE(back.doubles.at("none").empty());
  EXPECT_TRUE(back.integers.at("none either").empty());
  const TensorFile nothing = from_bytes(to_bytes(TensorFile{}), "memory");
  EXPECT_TRUE(nothing.metadata.empty());
  EXPECT_TRUE(nothing.floats.empty());
}

TEST(Safetensors, DataIsAlignedToEightBytes) {
  TensorFile file = example();
  const std::string bytes = to_bytes(file);
  std::uint64_t length;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  const std::string header = bytes.substr(8, length);
  EXPECT_NE(header.find("\"times\":{\"data_offsets\":[0,24]"), std::string::npos) << header;
  EXPECT_NE(header.find("\"keys\":{\"data_offsets\":[24,40]"), std::string::npos) << header;
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const std::string bytes = to_bytes(example());
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_THROW(from_bytes(std::string_view(bytes).substr(0, n), "x"), FileError) << n;
  }
  EXPECT_THROW(from_bytes(bytes + '\0', "x"), FileError);
}

TEST(Safetensors, EveryAlteredByteIsRefused) {
  const std::string bytes = to_bytes(example());
  std::string altered = bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      if (static_cast<char>(value) == bytes[i]) continue;
      altered[i] = static_cast<char>(value);
      EXPECT_THROW(from_bytes(altered, "x"), FileError) << "byte " << i << " value " << value;
    }
    altered[i] = bytes[i];
  }
}

TEST(Safetensors, HostileHeadersAreRefusedByName) {
  const auto tensor = [](const std::string& shape, const std::string& offsets,
                         const std::string& dtype = "F32") {
    return "{\"a\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
           ",\"data_offsets\":" + offsets + "}}";
  };
  expect_refused(with_header(tensor("[4294967296,4294967296]", "[0,0]")), "shape");
  expect_refused(with_header(tensor("[9223372036854775807,2]", "[0,8]"), 8), "too many");
  expect_refused(with_header(tensor("[0,9223372036854775807]", "[0,0]")), "too many");
  expect_refused(with_header(tensor("[99999999999999999999999,2]", "[0,8]"), 8), "out of place");
  expect_refused(with_header(tensor("[1,2]", "[-8,0]"), 8), "negative number -8");
  expect_refused(with_header(tensor("[-1,-2]", "[0,8]"), 8), "negative number -1");
  expect_refused(with_header(tensor("[1.0,2]", "[0,8]"), 8), "out of place");
  expect_refused(with_header(tensor("[1,2]", "[8,0]"), 8), "not within");
  expect_refused(with_header(tensor("[1,2]", "[0,16]"), 8), "not within");
  expect_refused(with_header(tensor("[1,2]", "[0,18446744073709551615]"), 8), "not within");
  expect_refused(with_header(tensor("[1,2]", "[0]"), 8), "must hold 2");
  expect_refused(with_header(tensor("[1,2]", "[0,8,8]"), 8), "more than 2");
  expect_refused(with_header(tensor("[1,1,1,1,1,1,1,1,2]", "[0,8]"), 8), "more than 8");
  expect_refused(with_header(tensor("[2]", "[0,8]"), 8), "dimension");
  expect_refused(with_header(tensor("[1,2]", "[0,4]", "BF16"), 4), "unknown dtype 'BF16'");
  expect_refused(with_header(tensor("[1,2]", "[0,8]"), 16), "after the last tensor");
  expect_refused(with_header(tensor("[1,2]", "[0,8]"), 8), "no 'checksum'");
  const std::string a = "\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}";
  const std::string b = "\"b\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":";
  expect_refused(with_header("{" + a + "," + b + "[0,8]}}", 8), "overlap");
  expect_refused(with_header("{" + a + "," + b + "[4,12]}}", 12), "overlap");
  expect_refused(with_header("{" + a + "," + b + "[16,24]}}", 24), "gap");
  expect_refused(with_header("{" + a + "," + a + "}", 8), "'a' appears twice");
  expect_refused(with_header("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}"), "'k' appears twice");
  expect_refused(with_header("{\"__metadata__\":{\"k\":1}}"), "out of place");
  expect_refused(with_header("{\"__metadata__\":{\"k\":{\"k\":\"v\"}}}"), "out of place");
  expect_refused(with_header("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}"), "appears twice");
  expect_refused(with_header("{\"a\":{\"dtype\":\"F32\"}}"), "missing");
  expect_refused(with_header("{\"a\":{\"device\":\"x\"}}"), "unknown key 'device'");
  expect_refused(with_header("{\"a\":null}"), "null");
  expect_refused(with_header("{\"a\":[]}"), "array");
  expect_refused(with_header("[]"), "not a JSON object");
  expect_refused(with_header(""), "not a JSON object");
  expect_refused(with_header("        "), "not a JSON object");
  expect_refused(with_header("{\"a\xff\":{}}"), "not JSON");
  expect_refused(with_header("{}{}"), "not JSON");
  expect_refused(with_header("{}"), "no 'checksum'");
}

TEST(Safetensors, DeepNestingIsRefusedWithoutRecursion) {
  std::string objects = "{\"a\":";
  for (int i = 0; i < 1'000'000; ++i) objects += "{\"dtype\":";
  expect_refused(with_header(objects + '}'), "out of place");
  const std::string arrays =
      "{\"a\":{\"shape\":" + std::string(1'000'000, '[') + std::string(1'000'000, ']') + "}}";
  expect_refused(with_header(arrays), "out of place");
}

TEST(Safetensors, HugeHeaderLengthsAreRefused) {
  for (const std::uint64_t length : {std::uint64_t{1} << 63, ~std::uint64_t{0},
                                     ~std::uint64_t{0} - 7, std::uint64_t{100'000'001}}) {
    std::string bytes(reinterpret_cast<const char*>(&length), 8);
    expect_refused(bytes + "{}", "above the limit");
  }
  const std::uint64_t length = 99'999'999;
  expect_refused(std::string(reinterpret_cast<const char*>(&length), 8) + "{}", "truncated");
}

TEST(Safetensors, BadNamesAreRefusedOnWriting) {
  TensorFile twice = example();
  twice.doubles["weights"] = {1.0};
  EXPECT_THROW(to_bytes(twice), InvalidArgument);
  TensorFile reserved;
  reserved.doubles["__metadata__"] = {1.0};
  EXPECT_THROW(to_bytes(reserved), InvalidArgument);
  TensorFile checksum;
  checksum.metadata["checksum"] = "0";
  EXPECT_THROW(to_bytes(checksum), InvalidArgument);
  TensorFile text;
  text.metadata["note"] = "\xff\xfe";
  EXPECT_THROW(to_bytes(text), InvalidArgument);
}

class SafetensorsOnDisk : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.file(name); }
  ecseq::testing::TemporaryFolder folder_;
};

TEST_F(SafetensorsOnDisk, WriteReplacesAndLeavesNoTemporary) {
  write_file(TensorFile{}, path("model.ecseq"));
  write_file(example(), path("model.ecseq"));
  EXPECT_EQ(to_bytes(ecseq::io::read_file(path("model.ecseq"))), to_bytes(example()));
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    files += entry.is_regular_file();
  }
  EXPECT_EQ(files, 1u);
}

TEST_F(SafetensorsOnDisk, MappedMatricesLieInTheFile) {
  write_file(example(), path("model.ecseq"));
  const TensorFile read = ecseq::io::read_file(path("model.ecseq"));
  const TensorFile mapped = ecseq::io::read_file(path("model.ecseq"), FileAccess::kMap);
  EXPECT_EQ(to_bytes(mapped), to_bytes(example()));
  // What is written in place is seen by whoever maps the file, which nobody should do.
  const std::string bytes = to_bytes(example());
  const float weight = 3.5F, other = -7.0F;
  const auto at = bytes.find(std::string_view(reinterpret_cast<const char*>(&weight), 4));
  std::fstream file(path("model.ecseq"), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  file.write(reinterpret_cast<const char*>(&other), 4);
  file.close();
  EXPECT_EQ(mapped.floats.at("weights")(0, 2), other);
  EXPECT_EQ(read.floats.at("weights")(0, 2), weight);
  EXPECT_THROW(ecseq::io::read_file(path("model.ecseq"), FileAccess::kMap), FileError);
}

TEST_F(SafetensorsOnDisk, AMappedFileOutlivesItsNameAndItsReader) {
  write_file(example(), path("model.ecseq"));
  ecseq::SharedMatrix weights =
      ecseq::io::read_file(path("model.ecseq"), FileAccess::kMap).floats.at("weights");
  write_file(TensorFile{}, path("model.ecseq"));  // by renaming
  EXPECT_EQ(weights, example().floats.at("weights"));
  std::filesystem::remove(path("model.ecseq"));
  EXPECT_EQ(weights, example().floats.at("weights"));
}

TEST_F(SafetensorsOnDisk, DamagedFilesAreRefusedMappedAsRead) {
  const std::string bytes = to_bytes(example());
  const auto refusal = [&](const std::string& content, FileAccess access) -> std::string {
    std::ofstream(path("model.ecseq"), std::ios::binary) << content;
    try {
      ecseq::io::read_file(path("model.ecseq"), access);
    } catch (const FileError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal(bytes, FileAccess::kMap), "accepted");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const std::string part = bytes.substr(0, length);
    ASSERT_EQ(refusal(part, FileAccess::kMap), refusal(part, FileAccess::kRead)) << length;
    ASSERT_NE(refusal(part, FileAccess::kMap), "accepted") << length;
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 4);
    ASSERT_NE(refusal(flipped, FileAccess::kMap), "accepted") << i;
  }
}

TEST_F(SafetensorsOnDisk, AFailedWriteLeavesTheOldThing) {
  std::filesystem::create_directories(path("taken/inside"));
  EXPECT_THROW(write_file(example(), path("taken")), FileError);
  EXPECT_TRUE(std::filesystem::is_directory(path("taken/inside")));
  std::size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    ++entries;
  EXPECT_EQ(entries, 1u);
  EXPECT_THROW(write_file(example(), path("no such folder/model.ecseq")), FileError);
}

TEST_F(SafetensorsOnDisk, ReadingNamesThePath) {
  for (const std::string name : {"missing", "."}) {
    try {
      ecseq::io::read_file(path(name));
      FAIL();
    } catch (const FileError& error) {
      EXPECT_EQ(std::string(error.what()).rfind(path(name) + ": ", 0), 0u) << error.what();
    }
    EXPECT_THROW(ecseq::io::read_file(path(name), FileAccess::kMap), FileError);
  }
  std::ofstream(path("empty")).close();
  EXPECT_THROW(ecseq::io::read_file(path("empty")), FileError);
}

TEST(Checksum, DependsOnEveryByteAndOnTheCuts) {
  const auto hash = [](std::string_view a, std::string_view b) {
    ecseq::io::Checksum sum;
    sum.add(a);
    sum.add(b);
    return sum.value();
  };
  EXPECT_EQ(hash("abcdefgh", "i"), hash("abcdefgh", "i"));
  EXPECT_NE(hash("abcdefgh", "i"), hash("abcdefg", "hi"));
  EXPECT_NE(hash("a", ""), hash("", "a"));
  EXPECT_NE(hash("a", ""), hash(std::string_view("a\0", 2), ""));
}

TEST(Checksum, ValuesArePartOfTheFileFormat) {
  ecseq::io::Checksum empty;
  EXPECT_EQ(empty.value(), 0x4285ef11031b402cULL);
  ecseq::io::Checksum text;
  text.add("representative");
  EXPECT_EQ(text.value(), 0x7a9df604e8d8e4a8ULL);
}

TEST(Safetensors, AFullDiskLeavesTheOldFileAndNothingElse) {
  const ecseq::testing::TemporaryFolder folder;
  const std::string path = folder.file("model");
  TensorFile small, large;
  small.integers["x"] = {1, 2, 3};
  large.doubles["y"].assign(500'000, 1.0);
  write_file(small, path);
  const pid_t child = ::fork();
  if (child == 0) {  // no file of this process may grow beyond a megabyte
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1'000'000, 1'000'000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) std::_Exit(2);
    try {
      write_file(large, path);
    } catch (const FileError&) {
      std::_Exit(0);
    }
    std::_Exit(3);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(ecseq::io::read_file(path).integers.at("x"), small.integers["x"]);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

}  // namespace
