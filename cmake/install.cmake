include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(ecseq_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ecseq)

install(TARGETS ecseq EXPORT ecseq-targets COMPONENT devel
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/ecseq DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT devel)
install(EXPORT ecseq-targets NAMESPACE ecseq:: DESTINATION ${ecseq_package_dir} COMPONENT devel)

get_target_property(ecseq_type ecseq TYPE)
if(ecseq_type STREQUAL "STATIC_LIBRARY")
  set(ECSEQ_IS_STATIC ON)
else()
  set(ECSEQ_IS_STATIC OFF)
endif()
configure_package_config_file(cmake/ecseq-config.cmake.in ecseq-config.cmake
                              INSTALL_DESTINATION ${ecseq_package_dir})
# Below 1.0 a minor version may change the interface.
write_basic_package_version_file(ecseq-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ecseq-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/ecseq-config-version.cmake
        DESTINATION ${ecseq_package_dir} COMPONENT devel)

# For those who do not use CMake: pkg-config --static --libs ecseq.
set(private_libs -lfaiss ${LAPACK_LIBRARIES} ${BLAS_LIBRARIES} ${OpenMP_CXX_FLAGS})
list(REMOVE_DUPLICATES private_libs)
list(JOIN private_libs " " ECSEQ_PC_PRIVATE_LIBS)
get_target_property(definitions ecseq INTERFACE_COMPILE_DEFINITIONS)
list(FILTER definitions EXCLUDE REGEX "ECSEQ_VERSION")
list(TRANSFORM definitions PREPEND -D)
list(JOIN definitions " " ECSEQ_PC_DEFINITIONS)
# Found from where the file lies, so that the installed tree may be moved.
file(RELATIVE_PATH ECSEQ_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" ECSEQ_PC_PREFIX ${ECSEQ_PC_PREFIX})
configure_file(cmake/ecseq.pc.in ecseq.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ecseq.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT devel)
