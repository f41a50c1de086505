include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

# Configuring is enough: the project asserts what it got, and the sources are compiled elsewhere.
set(build ${WORK_DIR}/add_subdirectory)
file(REMOVE_RECURSE ${build})
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/add_subdirectory -B ${build} -G ${GENERATOR}
    -D ECSEQ_SOURCE_DIR=${SOURCE_DIR} -D CMAKE_CXX_COMPILER=${CXX_COMPILER})
