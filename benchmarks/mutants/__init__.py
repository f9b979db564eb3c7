"""Does a test fail when the code is wrong? Small changes to the code, each of which some test has to notice."""
