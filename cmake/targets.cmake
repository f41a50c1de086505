# ecseq_library_settings(target level): what every build of the library's sources needs, be it
# libecseq or one of the Python module's variants. Both are compiled by the same command, so that
# a compiler cache does the work once.
function(ecseq_library_settings target level)
  ecseq_march(${level} march)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(
    ${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
  target_link_libraries(
    ${target}
    PUBLIC Eigen3::Eigen
    PRIVATE $<BUILD_INTERFACE:Spectra::Spectra> nlohmann_json::nlohmann_json faiss LAPACK::LAPACK
            BLAS::BLAS OpenMP::OpenMP_CXX)
  target_compile_definitions(
    ${target}
    PUBLIC
      ECSEQ_VERSION="${PROJECT_VERSION}"
      # Our loops own the threads; an Eigen product must never start a team of its own.
      EIGEN_DONT_PARALLELIZE
      # Eigen derives the alignment of its types, and with it how they are allocated and freed,
      # from the -march of the file at hand: a matrix allocated in libecseq and freed by a caller
      # compiled at another level would corrupt the heap. One alignment for every level makes the
      # types the same on both sides, whatever flags the consumer chooses.
      EIGEN_MAX_ALIGN_BYTES=64
      EIGEN_MAX_STATIC_ALIGN_BYTES=64)
  target_compile_options(${target} PRIVATE ${march} ${ECSEQ_WARNINGS})
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON
                        CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
endfunction()

# ecseq_shared_library_settings(target): what a shared build of the library needs beside that.
function(ecseq_shared_library_settings target)
  set_target_properties(
    ${target} PROPERTIES VERSION ${PROJECT_VERSION}
                         SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
                         CXX_VISIBILITY_PRESET default)
  if(NOT APPLE)
    # FAISS is linked in statically; its symbols are not ours to offer.
    target_link_options(${target} PRIVATE -Wl,--exclude-libs,ALL)
    # A program's copies of inline functions, perhaps made for another instruction set, must not
    # take the place of ours; and sleeping threads and the fork handler need the code for ever.
    target_link_options(${target} PRIVATE -Wl,-Bsymbolic-functions -Wl,-z,nodelete)
  endif()
endfunction()

# ecseq_internal_executable(target sources...): a test or benchmark. It uses the kernels' headers
# directly, so it is compiled at the library's own level: two copies of one inline function, for
# two instruction sets, must not meet in one program.
function(ecseq_internal_executable target)
  add_executable(${target} ${ARGN})
  ecseq_march(${ECSEQ_ARCH} march)
  target_compile_options(${target} PRIVATE ${march} ${ECSEQ_WARNINGS})
  target_link_libraries(${target} PRIVATE ecseq::ecseq)
endfunction()

set(ECSEQ_WARNINGS -Wall -Wextra)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # -Wpsabi only says that passing wide vectors by value changed in GCC 4.6; GCC 12's own AVX-512
  # header sets off the warnings of uninitialized values wherever it is inlined (GCC bug 105593).
  list(APPEND ECSEQ_WARNINGS -Wshadow=local -Wno-psabi -Wno-maybe-uninitialized)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    list(APPEND ECSEQ_WARNINGS -Wno-uninitialized)
  endif()
endif()
