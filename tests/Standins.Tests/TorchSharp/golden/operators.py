"""Writes operators.json beside this file: what PyTorch answers to the cases of GoldenOperatorTests.cs.

Run it with any PyTorch; the committed file was made with 1.13.1.
"""
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(7)
x = torch.randn(2, 3, 4)
y = torch.randn(2, 3, 4)
p = torch.rand(2, 3, 4) + 0.1
r = torch.randn(4)
a = torch.randn(3, 4)
b = torch.randn(4, 5)
s = torch.randn(3, 3)
i = torch.randint(0, 3, (2, 3, 4))
j = torch.tensor([2, 0])
t = torch.tensor([1, 0, 2])
m = torch.randn(2, 3, 4) > 0
u = torch.tensor([1.0, 3.0, 5.0, 7.0])

inputs = dict(x=x, y=y, p=p, r=r, a=a, b=b, s=s, i=i, j=j, t=t, m=m, u=u)

unary = """abs ceil cos cosh erf exp exp2 expm1 floor frac isfinite isnan log1p_p log_p log10_p log2_p neg reciprocal relu
rsqrt_p sigmoid sign silu sin sinh sqrt_p square tan tanh trunc lgamma_p digamma_p""".split()
cases = {}
for name in unary:
    op, of = (name[:-2], p) if name.endswith("_p") else (name, x)
    cases[name] = F.silu(of) if op == "silu" else getattr(torch, op)(of)
cases.update({
    "gelu": F.gelu(x), "softplus": F.softplus(x), "leaky_relu": F.leaky_relu(x, 0.2), "elu": F.elu(x),
    "round": x.round(), "round2": torch.round(x, decimals=2), "softmax": x.softmax(-1), "log_softmax": x.log_softmax(1),
    "softmax_half_to_float": x.softmax(2, dtype=torch.float64), "logsigmoid": F.logsigmoid(x), "nan_to_num": (x / (m * 1.0)).nan_to_num(0.5, 9, -9),
    "add": x + y, "add_alpha": torch.add(x, y, alpha=3), "add_row": x + r, "add_int": x + 2, "sub": x - y, "sub_from": 2 - x, "mul": x * y,
    "mul_float": x * 1.5, "div": x / p, "div_floor": torch.div(x, p, rounding_mode="floor"), "div_trunc": torch.div(x, 0.3, rounding_mode="trunc"),
    "over": 1 / p, "pow": p ** y, "pow2": x ** 2, "fmod": torch.fmod(x, 0.4), "remainder": x % 0.4, "atan2": torch.atan2(x, y), "hypot": torch.hypot(x, y),
    "addcmul": torch.addcmul(x, y, p, value=0.5), "addcdiv": torch.addcdiv(x, y, p, value=0.5), "lerp": torch.lerp(x, y, p),
    "clamp": x.clamp(-0.5, 0.7), "clamp_min": x.clamp(min=0.1), "clamp_tensor": torch.clamp(x, min=-p, max=p), "maximum": torch.maximum(x, y),
    "minimum": torch.minimum(x, y), "logaddexp": torch.logaddexp(x, y), "xlogy": torch.xlogy(x, p), "int_promotes": i + x, "int_div": i / 2,
    "int_floor": i // 2, "and": m & (x > 0), "or": m | (x > 0), "xor": m ^ (x > 0), "not": ~m, "shift": i.bitwise_left_shift(torch.tensor(2)),
    "eq": i == 1, "ne": i != 1, "lt": x < y, "le": x <= 0.1, "gt": x > y, "ge": x >= 0.1, "isclose": torch.isclose(x, x + 1e-7),
    "isin": torch.isin(i, torch.tensor([0, 2])),
    "sum": x.sum(), "sum_dim": x.sum(1), "sum_dims": x.sum([0, 2], keepdim=True), "sum_double": x.sum(dtype=torch.float64), "mean": x.mean(),
    "mean_dims": x.mean([1, 2]), "prod": p.prod(1), "max": x.max(), "max_values": x.max(1).values, "max_indices": x.max(1).indices,
    "min_values": x.min(2, keepdim=True).values, "amax": x.amax([0, 1]), "amin": x.amin([2], keepdim=True), "argmax": x.argmax(), "argmax_dim": x.argmax(1),
    "argmin_dim": x.argmin(2, keepdim=True), "all": m.all(1), "any": m.any(2), "count_nonzero": m.count_nonzero(), "logsumexp": x.logsumexp(2),
    "cumsum": x.cumsum(1), "cumprod": p.cumprod(2), "std": x.std(), "std_dim": x.std(1, unbiased=False), "median": x.median(),
    "norm": x.norm(), "norm_dim": x.norm(1, 2), "vector_norm": torch.linalg.vector_norm(x, 3.0, [1, 2]), "frobenius": torch.linalg.norm(a),
    "quantile": torch.quantile(x, torch.tensor([0.25, 0.5]), 2), "histc": torch.histc(x, 5, -2, 2), "bincount": i.flatten().bincount(),
    "matmul": x.matmul(b), "mm": a.mm(b), "bmm": x.bmm(y.transpose(1, 2)), "mv": a.mv(r), "dot": r.dot(u), "outer": r.outer(u), "addmm": torch.addmm(a @ b, a, b, beta=0.5, alpha=2),
    "einsum": torch.einsum("bij,bkj->bik", x, y),
    "tensordot": torch.tensordot(x, b, [[2], [0]]), "inverse": s.inverse(), "det": s.det(), "svdvals": torch.linalg.svdvals(a), "matrix_power": s.matrix_power(3),
    "view": x.view(6, 4), "permute": x.permute(2, 0, 1), "transpose": x.transpose(0, 2), "narrow": x.narrow(2, 1, 2), "slice": x[:, ::2, 1:3], "select": x.select(1, 2),
    "chunk1": x.chunk(2, 2)[1], "split1": x.split([1, 2], 1)[1], "split_size": x.split(3, 2)[0], "unbind1": x.unbind(1)[1], "unfold": x.unfold(2, 2, 1),
    "flatten": x.flatten(1), "unflatten": x.unflatten(2, (2, 2)), "movedim": x.movedim([0], [2]), "flip": x.flip([0, 2]), "roll": x.roll([1, 2], [0, 2]), "repeat": a.repeat(2, 1),
    "repeat_interleave": a.repeat_interleave(2, 1), "expand": a.expand(2, 3, 4), "as_strided": x.as_strided([2, 2], [1, 2], 1), "diagonal": x.diagonal(0, 1, 2), "diag_embed": r.diag_embed(),
    "rot90": a.rot90(1, [0, 1]), "tril": s.tril(), "triu1": s.triu(1), "cat": torch.cat([x, y], 1), "stack": torch.stack([x, y], 1), "t": a.t(), "mT": x.mT, "squeeze": a.view(3, 1, 4).squeeze(1),
    "unsqueeze": a.unsqueeze(-1), "tile": a.tile([1, 2]), "meshgrid0": torch.meshgrid(r, u, indexing="ij")[0], "diff": x.diff(), "kron": torch.kron(a, torch.ones(1, 2)),
    "gather": x.gather(1, i), "scatter": torch.zeros(2, 3, 4).scatter(1, i, x), "scatter_add": y.scatter_add(1, i, x), "index_select": x.index_select(1, j),
    "index_add": a.index_add(0, j, torch.ones(2, 4), alpha=2), "index_copy": a.index_copy(0, j, torch.ones(2, 4)), "index_fill": a.index_fill(0, j, -1),
    "masked_fill": x.masked_fill(m, -9), "masked_select": x.masked_select(m), "where": torch.where(m, x, y), "take_along_dim": x.take_along_dim(x.argsort(1), 1),
    "topk_values": x.topk(2, 1).values, "topk_indices": x.topk(2, 2, largest=False).indices, "sort": x.sort(2, descending=True).values, "argsort": x.argsort(2),
    "nonzero": m.nonzero(), "searchsorted": torch.searchsorted(u, r), "bucketize": torch.bucketize(r, u, right=True), "unique": i.unique(), "one_hot": F.one_hot(t, 4),
    "index_tensor": x[:, t], "index_pair": x[j[1], t, i[0, :, 0]], "index_mask": x[m], "index_mixed": x[1, ..., None, 1:],
    "linear": F.linear(x, a), "linear_bias": F.linear(x, a, t.float()), "layer_norm": F.layer_norm(x, [4], r, u), "cross_entropy": F.cross_entropy(s, t),
    "cross_entropy_ignore": F.cross_entropy(s, torch.tensor([1, -100, 2]), reduction="sum"), "cross_entropy_smooth": F.cross_entropy(s, t, label_smoothing=0.1),
    "nll_loss": F.nll_loss(s.log_softmax(1), t, reduction="none"), "mse_loss": F.mse_loss(x, y), "l1_loss": F.l1_loss(x, y, reduction="sum"),
    "smooth_l1": F.smooth_l1_loss(x, y), "kl_div": F.kl_div(s.log_softmax(1), s.t().log_softmax(1), log_target=True, reduction="sum"),
    "bce": F.binary_cross_entropy_with_logits(x, m.float()), "pad": F.pad(a, [1, 2, 0, 1], value=3), "pad_reflect": F.pad(x, [1, 1], mode="reflect"),
    "normalize": F.normalize(x, dim=1), "cosine": F.cosine_similarity(x, y, dim=2), "linspace": torch.linspace(-1, 1, 5), "arange": torch.arange(1, 10, 3),
    "arange_float": torch.arange(0, 1, 0.25), "eye": torch.eye(2, 3), "full": torch.full((2, 2), 7), "bfloat16": x.bfloat16().float(), "half": x.half().float(),
    "to_int": (x * 10).int(), "tril_indices": torch.tril_indices(3, 3), "polar": torch.view_as_real(torch.polar(p, x)), "logspace": torch.logspace(0, 2, 3),
})


def encode(tensor):
    kind = str(tensor.dtype).removeprefix("torch.")
    return {"dtype": kind, "shape": list(tensor.shape), "values": [float(v) for v in tensor.flatten().tolist()]}


out = {"inputs": {k: encode(v) for k, v in inputs.items()}, "cases": {k: encode(v) for k, v in cases.items()}}
text = json.dumps(out).replace('}, "', '},\n"')
pathlib.Path(__file__).with_name("operators.json").write_text(text.replace("Infinity", '"Infinity"').replace("NaN", '"NaN"') + "\n")
print(len(cases), "cases")
