#pragma once

#include <string>

#include "ecseq/io/safetensors.hpp"
#include "ecseq/nn/parameters.hpp"
#include "ecseq/nn/scaler.hpp"

namespace ecseq::pipeline {

/// The tensor called `name`; throws FileError, whose message begins with `origin`, if there is
/// none.
const SharedMatrix& tensor_of(const io::TensorFile& file, const std::string& name,
                              const std::string& origin = "model file");
/// The metadata called `name`; throws FileError if there is none. kind: what the file then is not,
/// "model" or "forecaster".
const std::string& metadata_of(const io::TensorFile& file, const std::string& name,
                               const std::string& origin, const std::string& kind);

/// Throws FileError unless the file is of `format`, in the one version that is read. kind: as for
/// metadata_of.
void require_format(const io::TensorFile& file, const std::string& format, int version,
                    const std::string& origin, const std::string& kind);

/// None yet, to be given the tensors whose names begin with `prefix`.
nn::Parameters<float> parameters_of(const io::TensorFile& file, const std::string& prefix);
void save_parameters(const nn::Parameters<float>& parameters, io::TensorFile& file,
                     const std::string& prefix);
/// Throws FileError where one is missing, of another shape or not finite.
void load_parameters(nn::Parameters<float>& parameters, const io::TensorFile& file,
                     const std::string& prefix);

void save_scaler(const nn::Scaler& scaler, io::TensorFile& file, const std::string& prefix);
nn::Scaler load_scaler(const io::TensorFile& file, const std::string& prefix);

}  // namespace ecseq::pipeline
