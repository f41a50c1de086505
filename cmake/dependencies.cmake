# Everything comes from the system. On Debian and Ubuntu:
#   apt-get install libeigen3-dev libspectra-dev libfaiss-dev libopenblas-dev nlohmann-json3-dev
# FAISS's CMake package names OpenMP::OpenMP_CXX without finding it, so OpenMP comes first.
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(BLAS REQUIRED)
find_package(LAPACK REQUIRED)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(Spectra 1.0 REQUIRED) # headers, of which nothing reaches a consumer
find_package(faiss 1.7 REQUIRED)
find_package(nlohmann_json 3.9 REQUIRED)
