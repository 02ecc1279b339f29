using CutoffLen.Hardware;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace CutoffLen.Models.Llama;

/// <summary>The projections around attention, grouped-query (arXiv 2305.13245).</summary>
internal sealed class LlamaAttention : Module
{
    private readonly Linear? q_proj;
    private readonly Linear? k_proj;
    private readonly Linear? v_proj;
    private readonly Linear? qkv_proj;
    private readonly Linear o_proj;
    private readonly RmsNorm? q_norm;
    private readonly RmsNorm? k_norm;
    private readonly (Projection Queries, Projection Keys, Projection Values) projections;

    public LlamaAttention(string name, LlamaConfig config, WeightSource weights, RmsNorm? outputNorm)
        : base(nameof(LlamaAttention))
    {
        var family = config.Family;
        var queries = config.NumAttentionHeads * config.HeadDim;
        var keys = config.NumKeyValueHeads * config.HeadDim;
        if (family.FusedProjections)
        {
            qkv_proj = new Linear($"{name}.qkv_proj", config.HiddenSize, queries + (2 * keys), config.QkvBias, weights);
            projections = (new(qkv_proj, new(0, queries)), new(qkv_proj, new(queries, keys)), new(qkv_proj, new(queries + keys, keys)));
        }
        else
        {
            q_proj = new Linear($"{name}.q_proj", config.HiddenSize, queries, config.QkvBias, weights);
            k_proj = new Linear($"{name}.k_proj", config.HiddenSize, keys, config.QkvBias, weights);
            v_proj = new Linear($"{name}.v_proj", config.HiddenSize, keys, config.QkvBias, weights);
            projections = (new(q_proj), new(k_proj), new(v_proj));
        }

        o_proj = new Linear($"{name}.o_proj", queries, config.HiddenSize, config.OutputBias, weights);
        Output = new BranchOutput(o_proj, outputNorm);
        if (family.QueryKeyNorm != QueryKeyNorm.None)
        {
            var isOfHead = family.QueryKeyNorm == QueryKeyNorm.Head;
            q_norm = new RmsNorm($"{name}.q_norm", isOfHead ? config.HeadDim : queries, config, weights, "head ");
            k_norm = new RmsNorm($"{name}.k_norm", isOfHead ? config.HeadDim : keys, config, weights, "head ");
        }

        RegisterComponents();
    }

    public BranchOutput Output { get; }

    public void Project(Tensor h, LayerHeads heads, RowEncoding encoding, TokenRange chunk, Workspace workspace)
    {
        Encoded(projections.Queries, q_norm, heads.Queries);
        Encoded(projections.Keys, k_norm, heads.Keys);
        projections.Values.Forward(h, heads.Values, workspace, chunk.Start);

        void Encoded(Projection projection, RmsNorm? norm, Tensor output)
        {
            var projected = encoding.Encoding is null ? output : workspace.Take("projected", output.dtype, output.device, output.shape);
            projection.Forward(h, projected, workspace, chunk.Start);
            norm?.Forward(projected, projected, workspace);
            if (encoding.Encoding is not null)
            {
                encoding.Apply(chunk, projected, output, workspace);
            }
        }
    }

    /// <summary>The gradient [n, C] of the projections' input.</summary>
    public Tensor ProjectBackward(Tensor h, LayerHeads gradients, RowEncoding encoding, TokenRange chunk, Workspace workspace)
    {
        var dH = workspace.Take("normed gradient", h.dtype, h.device, h.shape);
        var (queries, keys, values) = projections;
        queries.Backward(h, Projected(queries, q_norm, gradients.Queries), dH, add: false, workspace, chunk.Start);
        keys.Backward(h, Projected(keys, k_norm, gradients.Keys), dH, add: true, workspace, chunk.Start);
        values.Backward(h, gradients.Values, dH, add: true, workspace, chunk.Start);
        return dH;

        // The gradient of a projection's result, before norm and encoding. The norm's input is projected again.
        Tensor Projected(Projection projection, RmsNorm? norm, Tensor gradient)
        {
            var decoded = Decoded(gradient);
            if (norm is null)
            {
                return decoded;
            }

            var projected = workspace.Take("norm input", gradient.dtype, gradient.device, gradient.shape);
            projection.Forward(h, projected, workspace, chunk.Start);
            return norm.Backward(decoded, projected, workspace);
        }

        Tensor Decoded(Tensor encoded)
        {
            if (encoding.Encoding is null)
            {
                return encoded;
            }

            var decoded = workspace.Take("projected", encoded.dtype, encoded.device, encoded.shape);
            encoding.ApplyTransposed(chunk, encoded, decoded, workspace);
            return decoded;
        }
    }
}
