using TorchSharp.Binding;

namespace TorchSharp;

/// <summary>Makes autograd check its backward for NaN and tell which forward operation one came from, until disposed.</summary>
public class AnomalyMode : IDisposable
{
    private readonly int _previous = Native.binding_anomaly_mode();

    public AnomalyMode(bool enabled, bool check_nan = true) =>
        Native.binding_set_anomaly_mode(enabled ? 1 : 0, check_nan ? 1 : 0);

    public static bool IsEnabled => (Native.binding_anomaly_mode() & 1) != 0;

    public static bool ShouldCheckNaN => (Native.binding_anomaly_mode() & 2) != 0;

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing) =>
        Native.binding_set_anomaly_mode(_previous & 1, (_previous >> 1) & 1);
}

public static partial class torch
{
    /// <summary>Stops the recording of operations for gradients until disposed.</summary>
    public static IDisposable no_grad() => new GradientMode(false);

    public static IDisposable enable_grad(bool enabled = true) => new GradientMode(enabled);

    public static IDisposable set_grad_enabled(bool mode = true) => new GradientMode(mode);

    public static bool is_grad_enabled() => Native.binding_grad_mode() != 0;

    /// <summary>As no_grad, and tensors made inside can never be recorded: cheaper still.</summary>
    public static IDisposable inference_mode(bool mode = true) => new InferenceMode(mode);

    public static bool is_inference_mode_enabled() => Native.binding_inference_mode() != 0;

    /// <summary>The engine that computes gradients.</summary>
    public static partial class autograd
    {
        /// <summary>The gradients of <paramref name="outputs"/> by <paramref name="inputs"/>, in their order; nothing is accumulated.</summary>
        public static unsafe IList<Tensor> grad(IList<Tensor> outputs, IList<Tensor> inputs, IList<Tensor>? grad_outputs = null, bool retain_graph = false, bool create_graph = false, bool allow_unused = false)
        {
            nint[] of = Handles(outputs), by = Handles(inputs), weights = Handles(grad_outputs);
            nint[] results = new nint[by.Length];
            fixed (nint* ofFirst = of, byFirst = by, weightsFirst = weights, resultsFirst = results)
            {
                Native.Check(Native.binding_gradients(
                    ofFirst, of.Length, byFirst, by.Length, weightsFirst, weights.Length, retain_graph ? 1 : 0,
                    create_graph ? 1 : 0, allow_unused ? 1 : 0, resultsFirst));
            }

            GC.KeepAlive(outputs);
            GC.KeepAlive(inputs);
            GC.KeepAlive(grad_outputs);
            return Array.ConvertAll(results, handle => handle == 0 ? null! : new Tensor(handle)).ToList();
        }

        /// <summary>Adds the gradients of <paramref name="tensors"/> to the leaves, or to <paramref name="inputs"/> alone.</summary>
        public static unsafe void backward(IList<Tensor> tensors, IList<Tensor>? grad_tensors = null, bool? retain_graph = null, bool create_graph = false, IList<Tensor>? inputs = null)
        {
            nint[] of = Handles(tensors), weights = Handles(grad_tensors), by = Handles(inputs);
            fixed (nint* ofFirst = of, weightsFirst = weights, byFirst = by)
            {
                Native.Check(Native.binding_backward(
                    ofFirst, of.Length, weightsFirst, weights.Length, (retain_graph ?? create_graph) ? 1 : 0,
                    create_graph ? 1 : 0, byFirst, by.Length));
            }

            GC.KeepAlive(tensors);
            GC.KeepAlive(grad_tensors);
            GC.KeepAlive(inputs);
        }

        public static void backward(Tensor tensor, IList<Tensor>? grad_tensors = null, bool? retain_graph = null, bool create_graph = false, IList<Tensor>? inputs = null) =>
            backward([tensor], grad_tensors, retain_graph, create_graph, inputs);

        public static void backward(Tensor tensor, Tensor grad_tensor, bool? retain_graph = null, bool create_graph = false, IList<Tensor>? inputs = null) =>
            backward([tensor], [grad_tensor], retain_graph, create_graph, inputs);

        public static AnomalyMode detect_anomaly(bool check_nan = true) => new(true, check_nan);

        public static AnomalyMode set_detect_anomaly(bool mode, bool check_nan = true) => new(mode, check_nan);

        private static nint[] Handles(IList<Tensor>? tensors)
        {
            nint[] handles = new nint[tensors?.Count ?? 0];
            for (int i = 0; i < handles.Length; i++)
            {
                handles[i] = tensors![i].Handle;
            }

            return handles;
        }
    }

    private sealed class GradientMode : IDisposable
    {
        private readonly int _previous = Native.binding_grad_mode();

        internal GradientMode(bool enabled) => Native.binding_set_grad_mode(enabled ? 1 : 0);

        public void Dispose() => Native.binding_set_grad_mode(_previous);
    }

    private sealed class InferenceMode(bool enabled) : IDisposable
    {
        private nint _guard = Native.binding_enter_inference_mode(enabled ? 1 : 0);

        public void Dispose()
        {
            if (_guard != 0)
            {
                Native.binding_leave_inference_mode(_guard);
                _guard = 0;
            }
        }
    }
}
