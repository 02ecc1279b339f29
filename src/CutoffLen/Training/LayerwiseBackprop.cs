using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>What the backward pass keeps of the dense parts of the network.</summary>
public enum Recompute
{
    /// <summary>Their graphs: fastest.</summary>
    None,

    /// <summary>Only their inputs; each part is computed again when its turn comes.</summary>
    Layers,
}

/// <summary>
/// Backpropagation without custom autograd functions, whose exceptions abort the process. The decoder is a chain of dense
/// segments (norm, projections, MLP), cut around every attention. Tensors are detached at each cut: autograd works inside
/// a segment, and the chain rule between segments is applied here. Attention runs without a graph and has its own backward
/// pass (<see cref="AttentionPlan.Backward"/>). The head runs in chunks (<see cref="HeadLoss"/>). So memory is linear in the
/// length for every position method. Gradients are added to those that the parameters already hold.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="recompute">What is kept of the dense segments.</param>
/// <param name="embeddingGradient">[V, C] what the embedding's gradient is added to; null when it is not trained.</param>
/// <param name="headGradient">[V, C] the same for the head (the embedding's own where they are tied).</param>
/// <param name="offloadDevice">Where the segments' inputs are offloaded to until their backward pass; null for no offloading.</param>
public sealed class LayerwiseBackprop(
    LlamaForCausalLM model, Recompute recompute, Tensor? embeddingGradient, Tensor? headGradient, Device? offloadDevice = null)
{
    /// <summary>Forward and backward of one micro-batch.</summary>
    /// <param name="tokens">[B, T] int64.</param>
    /// <param name="targets">[B, T] int64, the token after each, -100 where none is learned.</param>
    /// <param name="plan">How attention sees positions.</param>
    /// <param name="scale">Factor of the summed loss: one over the target tokens of the whole accumulated batch.</param>
    /// <returns>The summed loss in nats, a float64 scalar.</returns>
    public Tensor Run(Tensor tokens, Tensor targets, AttentionPlan plan, double scale)
    {
        using var scope = NewDisposeScope();
        var segments = Forward(tokens, plan);
        var hidden = segments[^1].Outputs[0].detach();
        var (sum, hiddenGradient) = HeadLoss.ForwardBackward(
            hidden.flatten(0, 1), model.HeadWeight.detach(), targets.flatten(), scale, headGradient);
        var streamGradient = Backward(segments, plan, hiddenGradient.view_as(hidden));
        embeddingGradient?.index_add_(0, tokens.flatten(), streamGradient.flatten(0, 1), Kept(1));
        return sum.MoveToOuterDisposeScope();
    }

    private List<Segment> Forward(Tensor tokens, AttentionPlan plan)
    {
        using var noGrad = no_grad();
        List<Segment> segments = [new Segment(model, 0, model.Embed(tokens), null)];
        for (var n = 0; n < model.Layers.Count; n++)
        {
            var segment = segments[n];
            segment.Compute(keepGraph: recompute == Recompute.None);
            var attended = segment.Attend(plan);
            segments.Add(new Segment(model, n + 1, segment.Outputs[0].detach(), attended));
            if (recompute == Recompute.Layers)
            {
                segment.EvictOutputs();
                segment.OffloadInputs(offloadDevice);
            }
        }

        segments[^1].Compute(keepGraph: true);
        return segments;
    }

    /// <summary>Walks the segments from the last to the first; the result is the gradient of the embedded tokens.</summary>
    private static Tensor Backward(List<Segment> segments, AttentionPlan plan, Tensor hiddenGradient)
    {
        using var scope = NewDisposeScope();
        var (stream, attended) = segments[^1].Backward([hiddenGradient]);
        for (var n = segments.Count - 2; n >= 0; n--)
        {
            using var step = NewDisposeScope();
            var (segment, next) = (segments[n], segments[n + 1]);
            segment.Compute(keepGraph: true);
            var (q, k, v) = segment.Heads();
            var (dq, dk, dv) = plan.Backward(q, k, v, next.Attended!.detach(), segment.LogSumExp, attended!);
            next.Dispose();
            attended!.Dispose();
            using var above = stream; // else the gradients of all layers would accumulate
            (stream, attended) = segment.Backward([above, dq, dk, dv]);
            stream.MoveToOuterDisposeScope();
            attended?.MoveToOuterDisposeScope();
        }

        segments[0].Dispose();
        return stream.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The dense part between two attentions. Inputs are the residual stream and the result of the attention before it (none
    /// for the first segment). Outputs are the stream, queries, keys and values. The last segment's output is the normed
    /// hidden states.
    /// </summary>
    private sealed class Segment(LlamaForCausalLM model, int index, Tensor stream, Tensor? attended) : IDisposable
    {
        private Tensor stream = stream.requires_grad_(); // [B, T, C], a leaf
        private bool hasGraph;
        private bool isOffloaded;

        /// <summary>[B, H, T, D] the result of the attention before this segment, a leaf.</summary>
        public Tensor? Attended { get; private set; } = attended?.requires_grad_();

        /// <summary>Stream, queries, keys, values; or the hidden states alone.</summary>
        public Tensor[] Outputs { get; private set; } = [];

        /// <summary>What the attention after this segment keeps for its backward pass; null on the fused path.</summary>
        public Tensor? LogSumExp { get; set; }

        /// <summary>Computes the outputs, unless they and their graph are kept.</summary>
        public void Compute(bool keepGraph)
        {
            if (hasGraph)
            {
                return;
            }

            using var scope = NewDisposeScope();
            using var mode = set_grad_enabled(keepGraph);
            LoadInputs();
            var x = Attended is null ? stream : model.Layers[index - 1].Finish(stream, Attended);
            if (index == model.Layers.Count)
            {
                Outputs = [model.Norm(x)];
            }
            else
            {
                var (q, k, v) = model.Layers[index].Project(x);
                Outputs = [x, q, k, v];
            }

            foreach (var output in Outputs)
            {
                output.MoveToOuterDisposeScope();
            }

            hasGraph = keepGraph;
        }

        /// <summary>The attention after this segment, without a graph. What its backward pass needs is kept.</summary>
        public Tensor Attend(AttentionPlan plan)
        {
            using var scope = NewDisposeScope();
            var (q, k, v) = Heads();
            (var result, LogSumExp) = plan.Attend(q, k, v, keepLogSumExp: true);
            LogSumExp?.MoveToOuterDisposeScope();
            return result.MoveToOuterDisposeScope();
        }

        /// <summary>Queries, keys and values without their graph.</summary>
        public (Tensor Queries, Tensor Keys, Tensor Values) Heads() =>
            (Outputs[1].detach(), Outputs[2].detach(), Outputs[3].detach());

        /// <summary>Drops the outputs and their graph.</summary>
        public void EvictOutputs()
        {
            foreach (var output in Outputs)
            {
                if (!ReferenceEquals(output, stream))
                {
                    output.Dispose();
                }
            }

            (Outputs, hasGraph) = ([], false);
        }

        /// <summary>Moves the inputs to another device, where there is one.</summary>
        public void OffloadInputs(Device? device)
        {
            if (device is not null)
            {
                (stream, Attended) = (Moved(stream, device), Attended is null ? null : Moved(Attended, device));
                isOffloaded = true;
            }
        }

        private void LoadInputs()
        {
            if (isOffloaded)
            {
                (stream, Attended) = (Moved(stream, model.Device), Attended is null ? null : Moved(Attended, model.Device));
                isOffloaded = false;
            }
        }

        /// <summary>A copy of a leaf on another device, in its place; this object disposes it.</summary>
        private static Tensor Moved(Tensor leaf, Device device)
        {
            using var values = leaf.detach();
            leaf.Dispose();
            return values.to(device, copy: true).DetachFromDisposeScope().requires_grad_();
        }

        /// <summary>The gradients of the segment's inputs; those of its parameters are added where they belong.</summary>
        public (Tensor Stream, Tensor? Attended) Backward(Tensor[] gradients)
        {
            autograd.backward(Outputs, gradients);
            EvictOutputs();
            return (stream.grad!, Attended?.grad);
        }

        public void Dispose()
        {
            EvictOutputs();
            stream.Dispose();
            Attended?.Dispose();
            LogSumExp?.Dispose();
        }
    }
}
