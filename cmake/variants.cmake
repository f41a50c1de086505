# The shared library once more for each higher level of x86-64, in the folders where glibc (2.33 and
# later) looks first: <libdir>/glibc-hwcaps/x86-64-v3/libecseq.so.0.1. Programs link the portable
# one; at start the loader takes the best variant that the processor can run.
#
# In the build tree they lie where no loader looks: the tests are compiled at the portable level and
# use the kernels' headers.
foreach(level IN ITEMS v3 v4)
  set(variant ecseq_${level})
  add_library(${variant} SHARED ${ECSEQ_SOURCES})
  ecseq_library_settings(${variant} ${level})
  ecseq_shared_library_settings(${variant})
  set_target_properties(
    ${variant} PROPERTIES OUTPUT_NAME ecseq
                          LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/variants/${level})
  if(ECSEQ_INSTALL)
    include(GNUInstallDirs)
    install(TARGETS ${variant}
            LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/glibc-hwcaps/x86-64-${level}
                    COMPONENT devel NAMELINK_SKIP)
  endif()
endforeach()
