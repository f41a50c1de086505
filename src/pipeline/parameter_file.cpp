#include "parameter_file.hpp"

#include <algorithm>
#include <charconv>

#include "ecseq/core/error.hpp"
#include "take_parameters.hpp"

namespace ecseq::pipeline {

const SharedMatrix& tensor_of(const io::TensorFile& file, const std::string& name,
                              const std::string& origin) {
  const auto found = file.floats.find(name);
  if (found == file.floats.end()) {
    throw FileError(origin + ": tensor '" + name + "' is missing");
  }
  return found->second;
}

const std::string& metadata_of(const io::TensorFile& file, const std::string& name,
                               const std::string& origin, const std::string& kind) {
  const auto found = file.metadata.find(name);
  if (found == file.metadata.end()) {
    throw FileError(origin + ": not an ecseq " + kind + " (metadata '" + name + "' is missing)");
  }
  return found->second;
}

void require_format(const io::TensorFile& file, const std::string& format, int version,
                    const std::string& origin, const std::string& kind) {
  if (metadata_of(file, "format", origin, kind) != format) {
    throw FileError(origin + ": not an ecseq " + kind);
  }
  const std::string& text = metadata_of(file, "format_version", origin, kind);
  int found = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, found);
  if (read.ec != std::errc() || read.ptr != end || found < 1) {
    throw FileError(origin + ": its format version is not a number");
  }
  if (found == version) return;
  const bool is_old = found < version;
  throw FileError(origin + ": written by " + (is_old ? "an older" : "a newer") + " ecseq (" +
                  metadata_of(file, "library_version", origin, kind) + ", format " + text +
                  "); this one reads formats " + (is_old ? "from " : "up to ") +
                  std::to_string(version) + (is_old ? " on" : ""));
}

nn::Parameters<float> parameters_of(const io::TensorFile& file, const std::string& prefix) {
  Index numbers = 0;
  for (const auto& [name, tensor] : file.floats) {
    if (name.starts_with(prefix)) numbers += tensor.size();
  }
  return nn::Parameters<float>::of_file(numbers);
}

void save_parameters(const nn::Parameters<float>& parameters, io::TensorFile& file,
                     const std::string& prefix) {
  for (std::size_t i = 0; i < parameters.entries().size(); ++i) {
    file.floats[prefix + parameters.entries()[i].name] =
        parameters.view(static_cast<int>(i)).eigen();
  }
}

void load_parameters(nn::Parameters<float>& parameters, const io::TensorFile& file,
                     const std::string& prefix) {
  take_parameters<FileError>(parameters, file.floats, prefix, "model file: ");
}

void save_scaler(const nn::Scaler& scaler, io::TensorFile& file, const std::string& prefix) {
  file.floats[prefix + "scale.mean"] = scaler.mean;
  file.floats[prefix + "scale.inverse_std"] = scaler.inverse_std;
  file.doubles[prefix + "scale.bound"] = {static_cast<double>(scaler.bound)};
}

nn::Scaler load_scaler(const io::TensorFile& file, const std::string& prefix) {
  nn::Scaler scaler;
  scaler.mean = tensor_of(file, prefix + "scale.mean").eigen().reshaped().transpose();
  scaler.inverse_std = tensor_of(file, prefix + "scale.inverse_std").eigen().reshaped().transpose();
  if (scaler.inverse_std.size() != scaler.mean.size()) {
    throw FileError("model file: the scaler of '" + prefix + "' is of two sizes");
  }
  if (!scaler.mean.allFinite() || !scaler.inverse_std.allFinite()) {
    throw FileError("model file: the scaler of '" + prefix + "' is not finite");
  }
  const auto bound = file.doubles.find(prefix + "scale.bound");
  if (bound != file.doubles.end() && bound->second.size() == 1) {
    scaler.bound = static_cast<float>(bound->second.front());
  }
  if (!(scaler.bound > 0.0f))
    throw FileError("model file: the scaler of '" + prefix + "' clips all");
  return scaler;
}

}  // namespace ecseq::pipeline
