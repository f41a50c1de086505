# Every operation of the tape has a gradient test, or the test program does not link: the list of
# tests is made from the headers, whenever one of them changes.
set(gradient_list ${CMAKE_CURRENT_LIST_DIR}/list_operations.py)
set(gradient_tests ${CMAKE_CURRENT_BINARY_DIR}/gradient_list.cpp)
file(GLOB_RECURSE ecseq_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/ecseq/*.hpp)
add_custom_command(
  OUTPUT ${gradient_tests}
  COMMAND ${Python_EXECUTABLE} ${gradient_list} ${gradient_tests} ${PROJECT_SOURCE_DIR}/include
  DEPENDS ${gradient_list} ${ecseq_headers}
  COMMENT "Listing the operations of the tape"
  VERBATIM)
target_sources(ecseq_tests PRIVATE ${gradient_tests})

add_test(NAME gradients.no_operation_is_overlooked
         COMMAND ${Python_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/list_operations_test.py)
set_tests_properties(gradients.no_operation_is_overlooked PROPERTIES LABELS unit)
