using TorchSharp.Binding;

namespace TorchSharp;

public static partial class torch
{
    // Products of matrices and vectors.
    public partial class Tensor
    {
        public Tensor matmul(Tensor target) => Ops.matmul.Of(this, target);
        public Tensor mm(Tensor target) => Ops.mm.Of(this, target);
        public Tensor bmm(Tensor batch2) => Ops.bmm.Of(this, batch2);
        public Tensor mv(Tensor target) => Ops.mv.Of(this, target);
        public Tensor dot(Tensor target) => Ops.dot.Call(this, Beside(target));
        public Tensor vdot(Tensor target) => Ops.vdot.Call(this, Beside(target));
        public Tensor inner(Tensor vec2) => Ops.inner.Of(this, vec2);
        public Tensor outer(Tensor vec2) => Ops.outer.Of(this, vec2);
        public Tensor ger(Tensor vec2) => Ops.ger.Of(this, vec2);
        public Tensor kron(Tensor other) => Ops.kron.Of(this, other);
        public Tensor addmm(Tensor mat1, Tensor mat2, float beta = 1f, float alpha = 1f) => Ops.addmm.Call(this, mat1, mat2, beta, alpha);
        public Tensor addmm_(Tensor mat1, Tensor mat2, float beta = 1f, float alpha = 1f) => Ops.addmm_.InPlace(this, mat1, mat2, beta, alpha);
        public Tensor addmv(Tensor mat, Tensor vec, float beta = 1f, float alpha = 1f) => Ops.addmv.Call(this, mat, vec, beta, alpha);
        public Tensor addmv_(Tensor mat, Tensor vec, float beta = 1f, float alpha = 1f) => Ops.addmv_.InPlace(this, mat, vec, beta, alpha);
        public Tensor addr(Tensor vec1, Tensor vec2, float beta = 1f, float alpha = 1f) => Ops.addr.Call(this, vec1, vec2, beta, alpha);
        public Tensor addr_(Tensor vec1, Tensor vec2, float beta = 1f, float alpha = 1f) => Ops.addr_.InPlace(this, vec1, vec2, beta, alpha);
        public Tensor addbmm(Tensor batch1, Tensor batch2, float beta = 1f, float alpha = 1f) => Ops.addbmm.Call(this, batch1, batch2, beta, alpha);
        public Tensor addbmm_(Tensor batch1, Tensor batch2, float beta = 1f, float alpha = 1f) => Ops.addbmm_.InPlace(this, batch1, batch2, beta, alpha);
        public Tensor tensordot(Tensor b, long[] dims1, long[] dims2) => Ops.tensordot.Call(this, b, dims1, dims2);
        public Tensor det() => Ops.det.Of(this);
        public Tensor logdet() => Ops.logdet.Of(this);
        public Tensor inverse() => Ops.inverse.Of(this);
        public Tensor pinverse(double rcond = 1E-15, bool hermitian = false) => Ops.linalg_pinv.Call(this, rcond, hermitian);
        public Tensor matrix_power(int n) => Ops.matrix_power.Call(this, n);
        public Tensor matrix_exp() => Ops.matrix_exp.Of(this);
        public Tensor cholesky(bool upper = false) => Ops.cholesky.Call(this, upper);
        public Tensor cov(long correction = 1, Tensor? fweights = null, Tensor? aweights = null) => Ops.cov.Call(this, correction, Arg.Optional(fweights), Arg.Optional(aweights));
        public Tensor corrcoef() => Ops.corrcoef.Of(this);

        private Tensor Beside(Tensor vector) => ndim == 1 && vector.ndim == 1 && numel() == vector.numel()
            ? vector
            : throw new InvalidOperationException("dot arguments must have the same shape.");
    }
}
