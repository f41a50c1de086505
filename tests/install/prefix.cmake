include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

file(REMOVE_RECURSE ${prefix})
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --config ${CONFIG} --prefix ${prefix})

file(GLOB_RECURSE shipped RELATIVE ${SOURCE_DIR}/include ${SOURCE_DIR}/include/ecseq/*.hpp)
if(NOT shipped)
  message(FATAL_ERROR "no headers in ${SOURCE_DIR}/include")
endif()
foreach(header IN LISTS shipped)
  if(NOT EXISTS ${prefix}/include/${header})
    message(FATAL_ERROR "not installed: ${header}")
  endif()
endforeach()

# Nothing that was installed may point back to where it was built.
file(GLOB_RECURSE descriptions ${prefix}/*.cmake ${prefix}/*.pc)
foreach(description IN LISTS descriptions)
  file(READ ${description} text)
  string(FIND "${text}" "${SOURCE_DIR}/include" place)
  if(NOT place EQUAL -1)
    message(FATAL_ERROR "${description} refers to the source directory ${SOURCE_DIR}")
  endif()
endforeach()
