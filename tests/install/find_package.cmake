include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

set(build ${WORK_DIR}/find_package)
file(REMOVE_RECURSE ${build})
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/find_package -B ${build} -G ${GENERATOR}
    -D CMAKE_PREFIX_PATH=${prefix} -D CMAKE_CXX_COMPILER=${CXX_COMPILER}
    -D CMAKE_CXX_FLAGS=${CXX_FLAGS} -D CMAKE_BUILD_TYPE=Release)
run(${CMAKE_COMMAND} --build ${build})
run(${build}/consumer)
if(NOT run_output MATCHES "2 sequences, 3 features")
  message(FATAL_ERROR "the consumer printed: ${run_output}")
endif()
