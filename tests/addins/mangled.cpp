/* An add-in in C++ whose entry has no C linkage: the header's declaration is not there to give it one. */

unsigned short MainEntryPoint(const char *)
{
    return 0;
}
