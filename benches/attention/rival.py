"""Ideal attention in PyTorch, timed on request: `threads N`, `prefill`, `decode COUNT`; one answer in seconds a line.

Shapes and dtypes are those of the emulated array: HEADS heads of TOKENS tokens of dimension D, single precision, causal.
"""

import sys
import time

import torch

heads, tokens, d = (int(word) for word in sys.argv[1:4])
torch.manual_seed(1)
attention = torch.nn.functional.scaled_dot_product_attention
q, k, v = (torch.randn(1, heads, tokens, d) for _ in range(3))
q_new = torch.randn(1, heads, 1, d)
k_new, v_new = torch.randn(1, heads, 1, d), torch.randn(1, heads, 1, d)


def prefill():
    attention(q, k, v, is_causal=True)


def decode(token):
    # The window is a ring buffer here too: the new token replaces the oldest.
    k[:, :, token % tokens] = k_new[:, :, 0]
    v[:, :, token % tokens] = v_new[:, :, 0]
    attention(q_new, k, v)


print(f"torch {torch.__version__}", flush=True)
with torch.inference_mode():
    for line in sys.stdin:
        command, *words = line.split()
        count = int(words[0]) if words else 1
        if command == "threads":
            torch.set_num_threads(count)
            print(torch.get_num_threads(), flush=True)
            continue
        begin = time.perf_counter()
        for token in range(count):
            prefill() if command == "prefill" else decode(token)
        print((time.perf_counter() - begin) / count, flush=True)
