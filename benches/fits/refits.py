"""The refits of benches/fits/main.rs with scipy: reads the data sets, fits each, writes parameters, costs and times.

Usage: refits.py DATA.json RESULT.json
"""

import json
import sys
import time

import numpy as np
from scipy.optimize import curve_fit


def decay(t_ms, v_inf, v_0, tau_ms):
    return v_inf + (v_0 - v_inf) * np.exp(-t_ms / tau_ms)


def jacobian(t_ms, v_inf, v_0, tau_ms):
    e = np.exp(-t_ms / tau_ms)
    return np.stack([1.0 - e, e, (v_0 - v_inf) * e * t_ms / tau_ms**2], axis=1)


def run(data, jac):
    t_ms = np.asarray(data["t_ms"])
    sets = [np.asarray(v) for v in data["sets"]]
    bounds = ([-np.inf, -np.inf, 0.0], np.inf)
    options = {"xtol": data["tolerance"], "ftol": data["tolerance"], "gtol": data["tolerance"]}
    found = []
    began = time.perf_counter()
    for v in sets:
        p, covariance = curve_fit(decay, t_ms, v, data["start"], bounds=bounds, jac=jac, **options)
        found.append((p, covariance))
    seconds = time.perf_counter() - began
    costs = [float(np.sum((decay(t_ms, *p) - v) ** 2)) for (p, _), v in zip(found, sets)]
    return {
        "seconds": seconds,
        "parameters": [p.tolist() for p, _ in found],
        "errors": [np.sqrt(np.diag(c)).tolist() for _, c in found],
        "costs": costs,
    }


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        data = json.load(file)
    result = {"with_jacobian": run(data, jacobian), "without_jacobian": run(data, "2-point")}
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(result, file)
