using TorchSharp.Binding;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class functional
        {
            /// <summary>
            /// softmax(q kᵀ / √E + mask) v. libtorch's own operator where it has one (2.0 and later), which is linear in
            /// memory when a fused kernel takes the case; the formula itself, with its [L, S] scores, where not.
            /// </summary>
            /// <param name="query">[..., L, E].</param>
            /// <param name="key">[..., S, E].</param>
            /// <param name="value">[..., S, Ev].</param>
            /// <param name="attn_mask">[..., L, S]: true where a pair takes part, or numbers added to the scores.</param>
            /// <param name="p">The share of weights that dropout clears.</param>
            /// <param name="is_casual">Whether a query sees only the keys up to its own position.</param>
            /// <returns>[..., L, Ev].</returns>
            public static Tensor scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask = null, double p = 0, bool is_casual = false)
            {
                if (p < 0)
                {
                    throw new ArgumentException("Dropout probability must be greater than or equal to zero.");
                }

                if (is_casual && attn_mask is not null)
                {
                    throw new ArgumentException("Casual attention masking cannot pass a mask.");
                }

                return Ops.scaled_dot_product_attention.Exists
                    ? Ops.scaled_dot_product_attention.Call(query, key, value, Arg.Optional(attn_mask), p, is_casual)
                    : PlainAttention(query, key, value, attn_mask, p, is_casual);
            }

            private static Tensor PlainAttention(Tensor query, Tensor key, Tensor value, Tensor? mask, double p, bool causal)
            {
                if (!backends.cuda.math_sdp_enabled())
                {
                    throw new System.Runtime.InteropServices.ExternalException("No available kernel. Aborting execution.");
                }

                using DisposeScope scope = NewDisposeScope();
                Tensor scores = (query / Math.Sqrt(query.shape[^1])).matmul(key.transpose(-2, -1)); // [..., L, S]
                if (causal)
                {
                    mask = ones([scores.shape[^2], scores.shape[^1]], ScalarType.Bool, scores.device).tril();
                }

                if (mask is not null)
                {
                    scores = mask.dtype == ScalarType.Bool ? scores.masked_fill(~mask, double.NegativeInfinity) : scores + mask;
                }

                Tensor weights = scores.softmax(-1);
                if (p > 0)
                {
                    weights = dropout(weights, p);
                }

                return weights.matmul(value).MoveToOuterDisposeScope();
            }
        }
    }
}
