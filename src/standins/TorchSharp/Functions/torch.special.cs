using TorchSharp.Binding;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>Special functions.</summary>
    public static partial class special
    {
        public static Tensor erf(Tensor input) => input.erf();
        public static Tensor erfc(Tensor input) => input.erfc();
        public static Tensor erfinv(Tensor input) => input.erfinv();
        public static Tensor expit(Tensor input) => input.sigmoid();
        public static Tensor expm1(Tensor input) => input.expm1();
        public static Tensor exp2(Tensor input) => input.exp2();
        public static Tensor entr(Tensor input) => Ops.special_entr.Of(input);
        public static Tensor gammaln(Tensor input) => input.lgamma();
        public static Tensor i0(Tensor input) => input.i0();
        public static Tensor i1(Tensor input) => Ops.special_i1.Of(input);
        public static Tensor log_softmax(Tensor input, long dim, ScalarType? dtype = null) => input.log_softmax(dim, dtype);
        public static Tensor softmax(Tensor input, long dim, ScalarType? dtype = null) => input.softmax(dim, dtype);
        public static Tensor logit(Tensor input) => input.logit();
        public static Tensor ndtr(Tensor input) => Ops.special_ndtr.Of(input);
        public static Tensor ndtri(Tensor input) => Ops.special_ndtri.Of(input);
        public static Tensor psi(Tensor input) => input.digamma();
        public static Tensor sigmoid(Tensor input) => input.sigmoid();
        public static Tensor sinc(Tensor input) => input.sinc();
    }
}
