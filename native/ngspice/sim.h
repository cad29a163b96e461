/*
 * The bindings that we use include <ngspice/sim.h>; distributions ship sharedspice.h alone.
 * sharedspice.h needs nothing from it, and neither do we: this file only has to exist.
 */
#ifndef GAINCELL_NGSPICE_SIM_H
#define GAINCELL_NGSPICE_SIM_H
#endif
