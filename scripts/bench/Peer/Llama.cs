using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using F = TorchSharp.torch.nn.functional;

namespace Peer;

/// <summary>Hidden size, layers, heads, intermediate size, vocabulary.</summary>
internal sealed record Shape(int Hidden, int Layers, int Heads, int Inner, int Vocabulary);

/// <summary>A LLaMA as one writes it in plain TorchSharp, with Hugging Face's semantics; attention by SDPA or eager.</summary>
internal sealed class Llama : Module<Tensor, Tensor>
{
    private readonly Embedding embed;
    private readonly ModuleList<Layer> layers;
    private readonly RmsNorm norm;
    private readonly Linear head;
    private readonly int headDim;

    public Llama(Shape shape, bool sdpa)
        : base(nameof(Llama))
    {
        embed = Embedding(shape.Vocabulary, shape.Hidden);
        layers = ModuleList([.. Enumerable.Range(0, shape.Layers).Select(_ => new Layer(shape, sdpa))]);
        norm = new RmsNorm(shape.Hidden);
        head = Linear(shape.Hidden, shape.Vocabulary, hasBias: false);
        headDim = shape.Hidden / shape.Heads;
        RegisterComponents();
        using var noGrad = no_grad();
        random.manual_seed(0); // modules drew values of their own
        foreach (var weight in parameters().Where(p => p.dim() == 2))
        {
            weight.copy_(randn(weight.shape) * 0.02);
        }
    }

    /// <summary>Logits [B, T, V] of ids [B, T].</summary>
    public override Tensor forward(Tensor ids)
    {
        var x = embed.forward(ids); // [B, T, C]
        var inverse = pow(10000, -arange(0, headDim, 2, float32) / headDim);
        var angles = outer(arange(ids.shape[1], float32), inverse); // [T, D/2]
        angles = cat([angles, angles], 1);
        var (cos, sin) = (angles.cos().to(x.dtype), angles.sin().to(x.dtype));
        return head.forward(norm.forward(layers.Aggregate(x, (h, layer) => layer.forward(h, cos, sin))));
    }
}

internal sealed class Layer : Module<Tensor, Tensor, Tensor, Tensor>
{
    private readonly Linear q, k, v, o, gate, up, down;
    private readonly RmsNorm norm1, norm2;
    private readonly int heads;
    private readonly bool sdpa;

    public Layer(Shape shape, bool sdpa)
        : base(nameof(Layer))
    {
        (heads, this.sdpa) = (shape.Heads, sdpa);
        Linear Square() => Linear(shape.Hidden, shape.Hidden, hasBias: false);
        (q, k, v, o) = (Square(), Square(), Square(), Square());
        (gate, up) = (Linear(shape.Hidden, shape.Inner, hasBias: false), Linear(shape.Hidden, shape.Inner, hasBias: false));
        down = Linear(shape.Inner, shape.Hidden, hasBias: false);
        (norm1, norm2) = (new RmsNorm(shape.Hidden), new RmsNorm(shape.Hidden));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x, Tensor cos, Tensor sin)
    {
        var h = norm1.forward(x);
        Tensor Heads(Linear projection) => projection.forward(h).view(h.shape[0], h.shape[1], heads, -1).transpose(1, 2); // [B, H, T, D]
        x = x + o.forward(Attention(Rotate(Heads(q), cos, sin), Rotate(Heads(k), cos, sin), Heads(v)).transpose(1, 2).reshape(x.shape));
        h = norm2.forward(x);
        return x + down.forward(F.silu(gate.forward(h)) * up.forward(h));
    }

    private Tensor Attention(Tensor q, Tensor k, Tensor v)
    {
        if (sdpa)
        {
            return F.scaled_dot_product_attention(q, k, v, is_casual: true);
        }

        var tokens = q.shape[2];
        var mask = full([tokens, tokens], float.NegativeInfinity, q.dtype).triu(1);
        var scores = (q.matmul(k.transpose(2, 3)) / Math.Sqrt(q.shape[3])) + mask; // [B, H, T, T]
        return F.softmax(scores, -1, float32).to(q.dtype).matmul(v);
    }

    private static Tensor Rotate(Tensor x, Tensor cos, Tensor sin)
    {
        var halves = x.chunk(2, -1);
        return (x * cos) + (cat([-halves[1], halves[0]], -1) * sin);
    }
}

internal sealed class RmsNorm : Module<Tensor, Tensor>
{
    private readonly Parameter weight;

    public RmsNorm(long width)
        : base(nameof(RmsNorm))
    {
        weight = Parameter(ones(width));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        var h = x.to(float32);
        h = h * rsqrt(h.pow(2).mean([-1], keepdim: true) + 1e-5);
        return weight * h.to(x.dtype);
    }
}
