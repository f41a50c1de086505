include(${CMAKE_CURRENT_LIST_DIR}/score_events.cmake)

if(NOT PKG_CONFIG)
  message("left out: pkg-config not found")
  return()
endif()
run(${PKG_CONFIG} --static --cflags --libs ecseq)
separate_arguments(flags UNIX_COMMAND "${run_output}")
separate_arguments(user_flags UNIX_COMMAND "${CXX_FLAGS}")
set(program ${WORK_DIR}/score_events_in_c)
# The C++ compiler, which links its own libraries, told that this is C.
run(${CXX_COMPILER} -x c -std=c99 ${user_flags} ${SOURCE_DIR}/examples/c/score_events.c -x none
    -o ${program} ${flags})
score_events(KEEP ${program})
