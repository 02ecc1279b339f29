using TorchSharp;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Hardware;

/// <summary>
/// ATen operators that TorchSharp has no method for: those that write into given memory, fused attention with its
/// log-sum-exp, fused AdamW. They are TorchScript functions, and run on every device. Nothing here builds an autograd graph:
/// callers switch gradients off.
/// <para>Shapes: N tokens, C hidden, I intermediate; B batch, H heads, T tokens, S keys, D head dimension.</para>
/// </summary>
public static class Kernels
{
    // 0, 3 and 6 are ATen's numbers of uint8, int32 and float32; 1.2e-38 is about the least normal one of these. undefined() is a
    // tensor that is none at all, for which TorchScript has no word: CUDA's attention takes any other for the lengths of packed rows.
    private const string Source =
        """
        def matmul(a: Tensor, b: Tensor, output: Tensor):
            torch.mm(a, b, out=output)

        def matmul_added(addend: Tensor, a: Tensor, b: Tensor, output: Tensor):
            torch.addmm(addend, a, b, out=output)

        def batched_matmul(a: Tensor, b: Tensor, output: Tensor):
            torch.bmm(a, b, out=output)

        def batched_matmul_added(addend: Tensor, a: Tensor, b: Tensor, output: Tensor):
            torch.baddbmm(addend, a, b, out=output)

        def embedding(weight: Tensor, tokens: Tensor, output: Tensor):
            torch.index_select(weight, 0, tokens, out=output)

        def embedding_backward(gradient: Tensor, tokens: Tensor, weight_gradient: Tensor):
            if gradient.is_cuda:
                weight_gradient.index_put_([tokens], gradient, True)
            else:
                weight_gradient.index_add_(0, tokens, gradient)

        def rms_norm(x: Tensor, weight: Tensor, epsilon: float, inverse: Tensor, output: Tensor):
            torch.linalg_vector_norm(x, 2, [-1], True, dtype=6, out=inverse)
            inverse.square_().div_(x.size(-1)).add_(epsilon).rsqrt_()
            torch.mul(x, inverse, out=output)
            output.mul_(weight)

        def rms_norm_backward(gradient: Tensor, x: Tensor, weight: Tensor, inverse: Tensor, normed: Tensor, scratch: Tensor, weight_gradient: Optional[Tensor], x_gradient: Tensor):
            if x.is_cuda:
                x_part, weight_part = torch._fused_rms_norm_backward(gradient, x, [x.size(-1)], inverse, weight, [True, weight_gradient is not None])
                x_gradient.add_(x_part)
                if weight_gradient is not None:
                    weight_gradient.add_(weight_part)
            else:
                torch.mul(x, inverse, out=normed)
                torch.mul(gradient, normed, out=scratch)
                if weight_gradient is not None:
                    weight_gradient.add_(scratch.sum([0]))
                projection = torch.mv(scratch, weight.to(6)).unsqueeze(-1).div_(x.size(-1))
                torch.mul(gradient, weight, out=scratch)
                scratch.addcmul_(normed, projection, value=-1)
                x_gradient.addcmul_(scratch, inverse)

        def swiglu(gate: Tensor, up: Tensor, output: Tensor):
            torch.silu(gate, out=output)
            output.mul_(up)

        def swiglu_backward(gradient: Tensor, gate: Tensor, up: Tensor, up_gradient: Tensor):
            torch.silu(gate, out=up_gradient)
            up_gradient.mul_(gradient)
            gradient.mul_(up)
            torch.silu_backward(gradient, gate, grad_input=gradient)

        def rotate(x: Tensor, cos: Tensor, sin: Tensor, direction: float, output: Tensor):
            half = x.size(-1) // 2
            a, b = x.narrow(-1, 0, half), x.narrow(-1, half, half)
            c, d = output.narrow(-1, 0, half), output.narrow(-1, half, half)
            torch.mul(a, cos, out=c)
            c.addcmul_(b, sin, value=-direction)
            torch.mul(b, cos, out=d)
            d.addcmul_(a, sin, value=direction)

        def log_softmax_(x: Tensor):
            torch._log_softmax(x, -1, False, out=x)

        def flash_cpu(q: Tensor, k: Tensor, v: Tensor, causal: bool):
            return torch._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, causal)

        def flash_cpu_backward(gradient: Tensor, q: Tensor, k: Tensor, v: Tensor, output: Tensor, causal: bool, log_sum_exp: Tensor):
            return torch._scaled_dot_product_flash_attention_for_cpu_backward(gradient, q, k, v, output, log_sum_exp, 0.0, causal)

        def undefined():
            empty = torch.empty([0, 1])
            return torch.native_layer_norm_backward(empty, empty, [1], empty, empty, None, None, [False, False, False])[0]

        def flash_cuda(q: Tensor, k: Tensor, v: Tensor, causal: bool):
            output, log_sum_exp, a, b, c, d, seed, offset, mask = torch._scaled_dot_product_flash_attention(q, k, v, 0.0, causal, False)
            return output, log_sum_exp, seed, offset

        def flash_cuda_backward(gradient: Tensor, q: Tensor, k: Tensor, v: Tensor, output: Tensor, causal: bool, log_sum_exp: Tensor, seed: Tensor, offset: Tensor):
            none = undefined()
            return torch._scaled_dot_product_flash_attention_backward(gradient, q, k, v, output, log_sum_exp.contiguous(), none, none, q.size(2), k.size(2), 0.0, causal, seed, offset)

        def cudnn(q: Tensor, k: Tensor, v: Tensor, causal: bool):
            output, log_sum_exp, a, b, c, d, seed, offset, mask = torch._scaled_dot_product_cudnn_attention(q, k, v, None, True, 0.0, causal, False)
            return output, log_sum_exp, seed, offset

        def cudnn_backward(gradient: Tensor, q: Tensor, k: Tensor, v: Tensor, output: Tensor, causal: bool, log_sum_exp: Tensor, seed: Tensor, offset: Tensor):
            none = undefined()
            return torch._scaled_dot_product_cudnn_attention_backward(gradient, q, k, v, output, log_sum_exp.contiguous(), seed, offset, none, none, none, q.size(2), k.size(2), 0.0, causal)

        def merge_attention(output: Tensor, log_sum_exp: Tensor, other: Tensor, other_log_sum_exp: Tensor):
            total = torch.logaddexp(log_sum_exp, other_log_sum_exp)
            output.mul_(log_sum_exp.sub_(total).exp_().unsqueeze(-1))
            output.addcmul_(other, other_log_sum_exp.sub_(total).exp_().unsqueeze(-1))
            log_sum_exp.copy_(total)

        def quantize_blockwise(x: Tensor, midpoints: Tensor, block_size: int, absmax: Tensor):
            blocks = x.view(-1, block_size).to(6)
            torch.amax(blocks.abs(), [1], out=absmax)
            scaled = blocks * absmax.clamp_min(1.2e-38).reciprocal_().unsqueeze(-1)
            codes = torch.zeros_like(scaled, dtype=0)
            for n in range(midpoints.size(0)):
                codes.add_(torch.gt(scaled, midpoints[n]))
            return codes.view(-1)

        def dequantize_4bit(packed: Tensor, pairs: Tensor, absmax: Tensor, block_size: int, piece: int, stored: int, output: Tensor):
            flat = output.view(-1)
            for start in range(0, flat.numel(), piece):
                count = min(piece, flat.numel() - start)
                codes = packed.narrow(0, start // 2, count // 2).to(3)
                values = torch.view_as_real(torch.view_as_complex(pairs).index_select(0, codes)).view(-1, block_size)
                values.mul_(absmax.narrow(0, start // block_size, count // block_size).unsqueeze(-1))
                flat.narrow(0, start, count).copy_(values.to(stored).view(-1))

        def adamw(weights: List[Tensor], gradients: List[Tensor], first: List[Tensor], second: List[Tensor], steps: List[Tensor], rate: float, beta1: float, beta2: float, decay: float, epsilon: float):
            torch._fused_adamw_(weights, gradients, first, second, [], steps, lr=rate, beta1=beta1, beta2=beta2, weight_decay=decay, eps=epsilon, amsgrad=False, maximize=False)

        """;

    private const string FlashCpu = "flash_cpu";
    private const int CudnnLengths = 128; // multiples of it are common lengths
    private const int CudnnHeadDim = 128; // the largest that its backward pass has

    private static readonly Lazy<bool[]> HasFastCudnn =
        new(() => [.. CudaDriver.Devices().Select(device => device.Capability.Major >= 9 && cuda.is_cudnn_available())]);

    private static readonly Lazy<jit.CompilationUnit> Compiled = new(() => jit.compile(Source));

    /// <summary>output = a b, for [n, k] and [k, m].</summary>
    public static void Matmul(Tensor a, Tensor b, Tensor output) => Run("matmul", a, b, output);

    /// <summary>output = addend + a b; the output may be the addend.</summary>
    public static void MatmulAdded(Tensor addend, Tensor a, Tensor b, Tensor output) => Run("matmul_added", addend, a, b, output);

    /// <summary>output[i] = a[i] b[i], for [p, n, k] and [p, k, m].</summary>
    public static void BatchedMatmul(Tensor a, Tensor b, Tensor output) => Run("batched_matmul", a, b, output);

    /// <summary>output[i] = addend[i] + a[i] b[i]; the output may be the addend.</summary>
    public static void BatchedMatmulAdded(Tensor addend, Tensor a, Tensor b, Tensor output) => Run("batched_matmul_added", addend, a, b, output);

    /// <summary>The rows [N, C] of a matrix [V, C] that tokens, int64 [N], name.</summary>
    public static void Embedding(Tensor weight, Tensor tokens, Tensor output) => Run("embedding", weight, tokens, output);

    /// <summary>Adds each row [N, C] of a gradient to the row of <paramref name="weightGradient"/> [V, C] that its token names, in a fixed order.</summary>
    public static void EmbeddingBackward(Tensor gradient, Tensor tokens, Tensor weightGradient) =>
        Run("embedding_backward", gradient, tokens, weightGradient);

    /// <summary>
    /// Root-mean-square norm (arXiv 1910.07467) of [N, C] over C. It is computed in float32 and rounded before the weight [C] is
    /// multiplied, as Hugging Face does.
    /// </summary>
    /// <param name="x">[N, C].</param>
    /// <param name="weight">[C].</param>
    /// <param name="epsilon">Added to the mean of squares.</param>
    /// <param name="inverse">[N, 1] float32, receives one over the root mean square.</param>
    /// <param name="output">[N, C], receives the result.</param>
    public static void RmsNorm(Tensor x, Tensor weight, double epsilon, Tensor inverse, Tensor output) =>
        Run("rms_norm", x, weight, Kept(epsilon), inverse, output);

    /// <summary>Adds the gradients of <see cref="RmsNorm"/> to those of its input and its weight.</summary>
    /// <param name="gradient">[N, C] the gradient of the result.</param>
    /// <param name="x">[N, C] the input.</param>
    /// <param name="weight">[C].</param>
    /// <param name="inverse">[N, 1] float32, as the norm left it.</param>
    /// <param name="scratch">Two of [N, C] float32, overwritten.</param>
    /// <param name="weightGradient">[C], added to; null when the weight is not trained.</param>
    /// <param name="inputGradient">[N, C], added to.</param>
    public static void RmsNormBackward(
        Tensor gradient, Tensor x, Tensor weight, Tensor inverse, (Tensor Normed, Tensor Product) scratch, Tensor? weightGradient, Tensor inputGradient) =>
        Run("rms_norm_backward", gradient, x, weight, inverse, scratch.Normed, scratch.Product, weightGradient, inputGradient);

    /// <summary>output = silu(gate) * up (SwiGLU, arXiv 2002.05202), all [N, I].</summary>
    public static void SwiGlu(Tensor gate, Tensor up, Tensor output) => Run("swiglu", gate, up, output);

    /// <summary>The gradients of <see cref="SwiGlu"/>.</summary>
    /// <param name="gradient">[N, I] the gradient of the result; overwritten by that of the gate.</param>
    /// <param name="gate">[N, I].</param>
    /// <param name="up">[N, I].</param>
    /// <param name="upGradient">[N, I], receives the gradient of up.</param>
    public static void SwiGluBackward(Tensor gradient, Tensor gate, Tensor up, Tensor upGradient) =>
        Run("swiglu_backward", gradient, gate, up, upGradient);

    /// <summary>Rotates the pairs (d, d + D/2) of vectors [..., T, D].</summary>
    /// <param name="x">[..., T, D].</param>
    /// <param name="cos">[T, D/2] float32.</param>
    /// <param name="sin">[T, D/2] float32.</param>
    /// <param name="direction">1, or -1 to rotate back.</param>
    /// <param name="output">[..., T, D] float32, not x.</param>
    public static void Rotate(Tensor x, Tensor cos, Tensor sin, double direction, Tensor output) =>
        Run("rotate", x, cos, sin, Kept(direction), output);

    /// <summary>The logarithm of softmax over the last dimension, in place.</summary>
    public static void LogSoftmaxInPlace(Tensor x) => Run("log_softmax_", x);

    /// <summary>
    /// Attention with the factor 1/sqrt(D) (FlashAttention, arXiv 2205.14135). Grouped query heads need no repeated keys.
    /// </summary>
    /// <param name="queries">[B, H, T, D].</param>
    /// <param name="keys">[B, K, S, D].</param>
    /// <param name="values">[B, K, S, D].</param>
    /// <param name="causal">Whether query i sees the keys up to the i-th only, or all.</param>
    /// <returns>The result, and all that the backward pass needs beside it: first the log-sum-exp, [B, H, T] float32.</returns>
    public static (Tensor Output, Tensor[] Kept) FlashAttention(Tensor queries, Tensor keys, Tensor values, bool causal)
    {
        var kernel = AttentionKernel(queries, keys);
        if (kernel != FlashCpu)
        {
            var (output, logSumExp, seed, offset) = ((Tensor, Tensor, Tensor, Tensor))Run(kernel, queries, keys, values, causal)!;
            return (output, [logSumExp, seed, offset]);
        }

        var (result, rowSums) = ((Tensor, Tensor))Run(kernel, queries, keys, values, causal)!;
        return (result, [rowSums]);
    }

    /// <summary>
    /// The gradients of queries, keys and values of <see cref="FlashAttention"/>, in their shapes. For a part of the keys, result
    /// and log-sum-exp are those of all keys.
    /// </summary>
    public static (Tensor Queries, Tensor Keys, Tensor Values) FlashAttentionBackward(
        Tensor gradient, Tensor queries, Tensor keys, Tensor values, Tensor output, bool causal, Tensor[] kept) =>
        ((Tensor, Tensor, Tensor))Run(
            $"{AttentionKernel(queries, keys)}_backward", [gradient, queries, keys, values, output, causal, .. kept])!;

    /// <summary>Makes attention over some keys attention over these and others, in place.</summary>
    /// <param name="output">[B, H, T, D] attention over some keys.</param>
    /// <param name="logSumExp">[B, H, T] float32, its log-sum-exp.</param>
    /// <param name="other">[B, H, T, D] attention over the other keys.</param>
    /// <param name="otherLogSumExp">[B, H, T] float32, its log-sum-exp; overwritten.</param>
    public static void MergeAttention(Tensor output, Tensor logSumExp, Tensor other, Tensor otherLogSumExp) =>
        Run("merge_attention", output, logSumExp, other, otherLogSumExp);

    /// <summary>The codes, uint8 [n], of numbers scaled block by block to their largest magnitude (arXiv 2110.02861, section 2.1).</summary>
    /// <param name="x">[n] contiguous; n is a multiple of the block size.</param>
    /// <param name="midpoints">Float32, between each two neighbours of the ascending code book; a number on a midpoint gets the lower code.</param>
    /// <param name="blockSize">Numbers of a block.</param>
    /// <param name="absmax">[n / block size] float32, receives each block's largest magnitude.</param>
    public static Tensor QuantizeBlockwise(Tensor x, Tensor midpoints, long blockSize, Tensor absmax) =>
        (Tensor)Run("quantize_blockwise", x, midpoints, Kept(blockSize), absmax)!;

    /// <summary>Numbers of 4 bits, as their code book and the scale of their block say: computed in float32.</summary>
    /// <param name="packed">[n / 2] uint8, two codes each, the first in the high bits.</param>
    /// <param name="pairs">[256, 2] float32, the two numbers that a byte of codes stands for.</param>
    /// <param name="absmax">[n / block size] float32.</param>
    /// <param name="blockSize">Numbers of a block.</param>
    /// <param name="piece">Numbers that are dequantized at a time, a multiple of the block size.</param>
    /// <param name="stored">What the numbers are rounded to first.</param>
    /// <param name="output">n numbers in any contiguous shape and dtype, receives the result.</param>
    public static void Dequantize4Bit(Tensor packed, Tensor pairs, Tensor absmax, long blockSize, long piece, ScalarType stored, Tensor output) =>
        Run("dequantize_4bit", packed, pairs, absmax, Kept(blockSize), Kept(piece), Kept((long)(stored == output.dtype ? ScalarType.Float32 : stored)), output);

    /// <summary>One step of AdamW (arXiv 1711.05101, as in PyTorch), in place; all float32 of one length.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="gradient">Their gradient.</param>
    /// <param name="first">The first moment.</param>
    /// <param name="second">The second moment.</param>
    /// <param name="steps">Float32 scalar: steps made, this one included.</param>
    /// <param name="rate">The learning rate.</param>
    /// <param name="betas">Decay of the moments.</param>
    /// <param name="decay">Decoupled weight decay.</param>
    /// <param name="epsilon">Added to the second moment's root.</param>
    public static void AdamW(
        Tensor weights, Tensor gradient, Tensor first, Tensor second, Tensor steps, double rate, (double First, double Second) betas, double decay, double epsilon) =>
        Run(
            "adamw", new[] { weights }, new[] { gradient }, new[] { first }, new[] { second }, new[] { steps },
            Kept(rate), Kept(betas.First), Kept(betas.Second), Kept(decay), Kept(epsilon));

    /// <summary>
    /// On GPUs of compute capability 9.0 and later cuDNN is 1.6 to 1.9 times as fast as FlashAttention 2 (scripts/bench/README.md).
    /// It prepares each shape at its first use, so it gets the lengths that recur, and documents of all lengths do not.
    /// </summary>
    private static string AttentionKernel(Tensor queries, Tensor keys) =>
        queries.device.type != DeviceType.CUDA ? FlashCpu
        : HasFastCudnn.Value.ElementAtOrDefault(queries.device.index) && queries.shape[2] % CudnnLengths == 0 && keys.shape[2] % CudnnLengths == 0 && queries.shape[3] <= CudnnHeadDim ? "cudnn"
        : "flash_cuda";

    private static object? Run(string function, params object?[] arguments)
    {
        var result = Compiled.Value.invoke(function, arguments);
        GC.KeepAlive(arguments); // TorchSharp hands over pointers only
        return result;
    }
}
