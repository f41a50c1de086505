# The programs of examples/{c,go,java}, which do the same, against what prefix.cmake installed.
include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

find_program(PKG_CONFIG NAMES pkg-config pkgconf)
file(GLOB description ${prefix}/lib*/pkgconfig/ecseq.pc ${prefix}/lib/*/pkgconfig/ecseq.pc)
cmake_path(GET description PARENT_PATH directory)
cmake_path(GET directory PARENT_PATH libraries)
set(ENV{PKG_CONFIG_PATH} ${directory})
set(ENV{LD_LIBRARY_PATH} ${libraries})
file(GLOB shared_library ${libraries}/libecseq.so)

# With an entity relation over sets and one that is not; labels that count a day later.
set(events_of_entities
    "c1 1700000000 0.5 -1 2 @3 @1\n"
    "c2 1700003600 1.5 1 0.25 @2 @1\n"
    "label c1 1700000000 1\n"
    "label nobody 1700000000 1\n"
    "label c2 1700003600 0\n"
    "c1 1700172800 -0.5 1 2 @3 @2\n"
    "c3 1700180000 0.5 -1 2 @unknown @1\n")
# States of users that go on.
set(events_of_gru "c1 1700000000 0.5 1\nc2 1700000010 1.5 2\n\nc1 1700000060 -0.5 3\n")

# score_events(what command...): runs `command` on a model and these events. With KEEP for `what`
# its scores are kept; with COMPARE they must be those: six digits of the same library's numbers.
function(score_events what)
  foreach(model IN ITEMS entities gru)
    set(command ${ARGN} ${SOURCE_DIR}/tests/fuzz/models/${model}.ecseq)
    set(input ${WORK_DIR}/events_of_${model}.txt)
    set(kept ${WORK_DIR}/scores_of_${model}.txt)
    file(WRITE ${input} ${events_of_${model}})
    execute_process(COMMAND ${command} INPUT_FILE ${input} RESULT_VARIABLE result
                    OUTPUT_VARIABLE scores ERROR_VARIABLE said)
    if(NOT result EQUAL 0 OR NOT scores MATCHES "^(0\\.[0-9]+\n)+$")
      message(FATAL_ERROR "'${command}': ${result}\n${scores}${said}")
    endif()
    if(model STREQUAL "entities" AND NOT said MATCHES "label of nobody .*: no such event")
      message(FATAL_ERROR "nothing is said of a label without an event, but: ${said}")
    endif()
    if(what STREQUAL "KEEP")
      file(WRITE ${kept} "${scores}")
    else()
      file(READ ${kept} expected)
      if(NOT scores STREQUAL expected)
        message(FATAL_ERROR "scores of ${model}:\n${scores}from C:\n${expected}")
      endif()
    endif()

    # What is wrong is told in the library's words.
    file(WRITE ${input} "c1 1700000000\n")
    execute_process(COMMAND ${command} INPUT_FILE ${input} RESULT_VARIABLE result
                    OUTPUT_QUIET ERROR_VARIABLE said)
    if(result EQUAL 0 OR NOT said MATCHES "expected .*, got 0")
      message(FATAL_ERROR "an event of nothing: ${result}, ${said}")
    endif()
  endforeach()
endfunction()
