using TorchSharp.Binding;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>Norms, solvers and decompositions.</summary>
    public static partial class linalg
    {
        public static Tensor norm(Tensor input, double ord, long[]? dims = null, bool keepdim = false) => Ops.linalg_norm.Call(input, ord, Arg.Optional(dims), keepdim);
        public static Tensor norm(Tensor input, int ord, long[]? dims = null, bool keepdim = false) => Ops.linalg_norm.Call(input, ord, Arg.Optional(dims), keepdim);
        public static Tensor norm(Tensor input, long[]? dims = null, bool keepdim = false) => Ops.linalg_norm.Call(input, Arg.None, Arg.Optional(dims), keepdim);
        public static Tensor norm(Tensor input, string ord, long[]? dims = null, bool keepdim = false) => Ops.linalg_norm__ord_str.Call(input, ord, Arg.Optional(dims), keepdim);
        public static Tensor vector_norm(Tensor input, double ord = 2, long[]? dims = null, bool keepdim = false) => Ops.linalg_vector_norm.Call(input, ord, Arg.Optional(dims), keepdim);
        public static Tensor matrix_norm(Tensor input, double ord, long[]? dims = null, bool keepdim = false) => Ops.linalg_matrix_norm.Call(input, ord, dims ?? [-2, -1], keepdim);
        public static Tensor matrix_norm(Tensor input, string ord = "fro", long[]? dims = null, bool keepdim = false) => Ops.linalg_matrix_norm__str_ord.Call(input, ord, dims ?? [-2, -1], keepdim);
        public static Tensor matrix_exp(Tensor input) => Ops.linalg_matrix_exp.Of(input);
        public static Tensor matrix_rank(Tensor input, double? atol = null, double? rtol = null, bool hermitian = false) => Ops.linalg_matrix_rank__atol_rtol_float.Call(input, atol, rtol, hermitian);
        public static Tensor inv(Tensor input) => Ops.linalg_inv.Of(input);
        public static Tensor pinv(Tensor input, double? atol = null, double? rtol = null, bool hermitian = false) => Ops.linalg_pinv__atol_rtol_float.Call(input, atol, rtol, hermitian);
        public static Tensor det(Tensor input) => Ops.linalg_det.Of(input);
        public static (Tensor, Tensor) slogdet(Tensor input) => Ops.linalg_slogdet.CallTwo(input);
        public static Tensor solve(Tensor A, Tensor B, bool left = true) => Ops.linalg_solve.Call(A, B, left);
        public static Tensor cholesky(Tensor input) => Ops.linalg_cholesky.Of(input);
        public static (Tensor Q, Tensor R) qr(Tensor input, linalg.QRMode mode = QRMode.Reduced) => Ops.linalg_qr.CallTwo(input, Name(mode));
        public static (Tensor U, Tensor S, Tensor Vh) svd(Tensor input, bool fullMatrices = true) => Ops.linalg_svd.CallThree(input, fullMatrices);
        public static Tensor svdvals(Tensor input) => Ops.linalg_svdvals.Of(input);
        public static (Tensor, Tensor) eigh(Tensor input, char UPLO = 'L') => Ops.linalg_eigh.CallTwo(input, UPLO.ToString());
        public static Tensor eigvalsh(Tensor input, char UPLO = 'L') => Ops.linalg_eigvalsh.Call(input, UPLO.ToString());
        public static Tensor multi_dot(IList<Tensor> tensors) => Ops.linalg_multi_dot.Call(tensors.ToArray());
        public static Tensor vecdot(Tensor x, Tensor y, long dim = -1, Tensor? @out = null) => @out is null ? Ops.linalg_vecdot.Call(x, y, dim) : Ops.linalg_vecdot__out.Call(x, y, dim, @out);
        public static Tensor cross(Tensor input, Tensor other, long dim = -1) => Ops.linalg_cross.Call(input, other, dim);

        /// <summary>How much of Q and R is wanted.</summary>
        public enum QRMode
        {
            Reduced = 0,
            Complete = 1,
            R = 2,
        }

        private static string Name(QRMode mode) => mode switch
        {
            QRMode.Complete => "complete",
            QRMode.R => "r",
            _ => "reduced",
        };

    }
}
